//go:build race

package main

// parserSteps makes the test take every eighth command line: with the race detector a parser costs half a second.
const parserSteps = 8
