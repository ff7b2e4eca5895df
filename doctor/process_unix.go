//go:build unix

package doctor

import "golang.org/x/sys/unix"

// writable reports whether this user may make files in the directory. It makes none.
func writable(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }
