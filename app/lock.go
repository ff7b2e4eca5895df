package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/spillway/spillway/store"
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

// claimRedis keeps a second shop with a Redis of its own off a MySQL, which may run on another machine; a SQLite is in the data directory.
func (deps *dependencies) claimRedis(ctx context.Context) error {
	claim, err := deps.db.ClaimRedis(ctx)
	if errors.Is(err, store.ErrClaimed) {
		return errors.New("another `spillway all` with an embedded Redis is running on this MySQL database: several processes need one real --redis. " +
			"(If its machine went down, try again in two minutes)")
	}
	if err != nil {
		return err
	}
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	deps.goBackground(keeping, func(ctx context.Context) { claim.Keep(ctx, deps.log) })
	deps.closers = append(deps.closers, func() error { stop(); return nil })
	return nil
}
