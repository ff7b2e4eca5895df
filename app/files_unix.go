//go:build unix

package app

import "golang.org/x/sys/unix"

// openFiles is how many files the process may have open at once. The runtime has raised the limit as far as it may.
func openFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return unlimitedFiles
	}
	return int(min(limit.Cur, unlimitedFiles)) //nolint:gosec // It is at most that.
}
