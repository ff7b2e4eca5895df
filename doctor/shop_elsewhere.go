package doctor

import (
	"context"
	"time"

	"github.com/spillway/spillway/pause"
	"github.com/spillway/spillway/store"
)

const (
	// confirmedLately is how old the last confirmation of an epoch is at most while a process is on it: it confirms it every 5 s.
	confirmedLately = 15 * time.Second
	// confirmTries and confirmPause bound how long the next confirmation is waited for, within the time of a check.
	confirmTries = 12
	confirmPause = 500 * time.Millisecond
)

// lostOrElsewhere is the result for an open epoch that is not in Redis: Redis lost it, or other processes have it in another Redis or namespace, which they
// show by confirming it.
func (s *session) lostOrElsewhere(ctx context.Context, found string) Result {
	confirmed, err := s.confirmedElsewhere(ctx)
	switch {
	case err != nil:
		return fail("read the error", "%v", err)
	case confirmed:
		return fail("give all processes the same --redis and --redis-namespace (SPILLWAY_REDIS, SPILLWAY_REDIS_NAMESPACE); see docs/operations.md#redis",
			"%s; other processes are on epoch %d at this moment: they use another Redis, or another namespace than %q",
			found, s.epoch.Number, s.cfg.Redis.Namespace)
	}
	return warn("nothing, if processes run: they open the next epoch from SQL; then run `spillway audit` after --lost-after", "%s", found)
}

// confirmedElsewhere waits for the next confirmation of the open epoch, if the last one is recent.
func (s *session) confirmedElsewhere(ctx context.Context) (bool, error) {
	if s.now().Sub(s.epoch.SeenAt).Abs() > confirmedLately {
		return false, nil
	}
	for range confirmTries {
		if err := pause.For(ctx, confirmPause); err != nil {
			return false, err
		}
		open, err := store.NewStock(s.db).OpenEpoch(ctx, s.cfg.Orders.Partition)
		if err != nil || open.Number != s.epoch.Number {
			return false, err // Another epoch is open: those that run have replaced it.
		}
		if open.SeenAt.After(s.epoch.SeenAt) {
			return true, nil
		}
	}
	return false, nil
}
