package journal

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// SQLModeConfig bounds how long Redis may be unavailable before orders are taken in SQL.
type SQLModeConfig struct {
	// Attempts is the number of failed attempts in a row to reach Redis; 0 for never.
	Attempts int
	// Unseen is for how long no process may have found Redis on the epoch, at least: longer than the time between two records of it.
	Unseen time.Duration
}

// DefaultSQLModeConfig makes ten attempts in 27 s, when Redis refuses them at once: longer than Sentinels take for a usual failover.
func DefaultSQLModeConfig() SQLModeConfig {
	return SQLModeConfig{Attempts: 10, Unseen: 2 * seenInterval}
}

const (
	// minReconnect and maxReconnect bound the pause between two attempts to reach Redis, which doubles. A Redis that Sentinels have
	// promoted must be used within 10 s of their decision, so that the pause stays well below.
	minReconnect = 100 * time.Millisecond
	maxReconnect = 5 * time.Second
	// seenInterval is the time between two records that Redis was found: each updates the row of the epoch.
	seenInterval = 5 * time.Second
)

// errUndrained means that orders must wait for Redis, after a change of the durability.
var errUndrained = errors.New(
	"orders are not taken in SQL before redis is back: the durability setting was changed, and the journal may hold orders that were acknowledged with the other one",
)

// outage is what the checks saw since Redis became unavailable for this process.
type outage struct {
	// attempts is the number of failed attempts since.
	attempts int
	// since is when the epoch was read first, with what it recorded then.
	since time.Time
	epoch Epoch
}

// pause returns the time until the next check.
func (o outage) pause() time.Duration {
	if o.attempts == 0 {
		return checkInterval
	}
	pause := minReconnect
	for range o.attempts - 1 {
		if pause *= 2; pause >= maxReconnect {
			return maxReconnect
		}
	}
	return pause
}

// sameEpoch reports whether the epoch is still the one that was read first, and no other process has found Redis on it since, or applied entries of it.
func (o outage) sameEpoch(epoch Epoch) bool {
	return !o.since.IsZero() && o.epoch.Number == epoch.Number && o.epoch.SeenAt.Equal(epoch.SeenAt) && o.epoch.LastID == epoch.LastID
}

// withoutRedis is the end of a check that could not reach Redis. It adopts an epoch with ModeSQL, and opens one after too many attempts, unless another
// process still finds Redis. In SQL that is decided once for all processes.
func (e *Epochs) withoutRedis(ctx context.Context, began time.Time, cause error) error {
	e.outage.attempts++
	if e.cfg.SQLMode.Attempts == 0 || e.cfg.Conn.Embedded() {
		e.suspend(cause)
		return cause
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	epoch, err := e.cfg.Store.OpenEpoch(ctx, e.cfg.Keys.Partition)
	if err == nil {
		err = e.checkDurability(epoch)
	}
	if err != nil {
		err = errors.Join(cause, err)
		e.suspend(err)
		return err
	}
	if epoch.Mode != ModeSQL {
		e.suspend(cause)
		if epoch, err = e.openInSQL(ctx, epoch); err != nil || epoch.Mode != ModeSQL {
			return errors.Join(cause, err)
		}
		e.cfg.Log.WarnContext(ctx, "redis is unavailable: orders are taken in SQL",
			"epoch", epoch.Number, "attempts", e.outage.attempts, "durability", epoch.Durability, "reserve_share", epoch.ReserveShare, "error", cause)
	}
	e.adopt(epoch, began)
	return nil
}

// openInSQL opens an epoch with ModeSQL after the given one, if Redis is unavailable for long enough. Otherwise it returns the given one.
func (e *Epochs) openInSQL(ctx context.Context, epoch Epoch) (Epoch, error) {
	if !e.outage.sameEpoch(epoch) {
		e.outage.epoch, e.outage.since = epoch, time.Now()
		return epoch, nil
	}
	if e.outage.attempts < e.cfg.SQLMode.Attempts || time.Since(e.outage.since) < e.cfg.SQLMode.Unseen || epoch.Durability == "" {
		return epoch, nil
	}
	if epoch.Undrained {
		return epoch, errUndrained
	}
	next, err := e.cfg.Store.OpenSQLEpoch(ctx, epoch)
	if errors.Is(err, ErrEpochConflict) { // Perhaps another process has just opened one.
		if open, readErr := e.cfg.Store.OpenEpoch(ctx, epoch.Partition); readErr == nil && open.Mode == ModeSQL && open.Durability == epoch.Durability {
			return open, nil
		}
	}
	if err != nil {
		return epoch, fmt.Errorf("open an epoch in SQL after %d: %w", epoch.Number, err)
	}
	return next, nil
}

// recordSeen records in SQL that this process finds Redis, unless one has done so lately. If that fails, the next check tries again. A process that never
// opens an epoch in SQL itself records it for the others.
func (e *Epochs) recordSeen(ctx context.Context, epoch Epoch, now time.Time) {
	if e.cfg.Conn.Embedded() || now.Sub(epoch.SeenAt).Abs() < seenInterval {
		return
	}
	if err := e.cfg.Store.Seen(ctx, e.cfg.Keys.Partition, epoch.Number, now); err != nil {
		e.cfg.Log.DebugContext(ctx, "failed to record that redis was found", "error", err)
	}
}

// suspendUnlessSQL suspends the epoch, unless orders are taken in SQL in it meanwhile.
func (e *Epochs) suspendUnlessSQL(epoch Epoch, cause error) {
	if epoch.Mode != ModeSQL {
		e.suspend(cause)
	}
}

// share is the reserve share of the epoch after the given one.
func (e *Epochs) share(old Epoch) int {
	if e.cfg.ReserveShare == nil {
		return old.ReserveShare
	}
	return *e.cfg.ReserveShare
}
