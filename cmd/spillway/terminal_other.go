//go:build !unix

package main

import "os"

// terminalSize returns false: without it, `spillway top` prints one update after the other.
func terminalSize(*os.File) (columns, rows int, ok bool) { return 0, 0, false }

func notifyResize(chan<- os.Signal) {}
