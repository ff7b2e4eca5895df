//go:build !race

package main

// parserSteps makes the test take every command line.
const parserSteps = 1
