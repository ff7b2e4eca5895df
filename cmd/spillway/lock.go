package main

import (
	"fmt"
	"path/filepath"

	"github.com/gofrs/flock"
)

// lockDataDir keeps a second shop with a Redis of its own out of the data directory, until it is unlocked or the process ends. Two of
// them on one database would each take the other's Redis for one that was lost, and neither would sell anything for long.
func lockDataDir(dir string) (unlock func() error, err error) {
	lock := flock.New(filepath.Join(dir, "spillway.lock"))
	ok, err := lock.TryLock()
	switch {
	case err != nil:
		return nil, fmt.Errorf("--data-dir %q cannot be locked: %w", dir, err)
	case !ok:
		return nil, fmt.Errorf("another `spillway all` is running in --data-dir %q: stop it, or take another --data-dir; several processes need a real --redis", dir)
	}
	return lock.Unlock, nil
}
