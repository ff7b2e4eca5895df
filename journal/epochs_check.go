package journal

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Check compares Redis with SQL once, adopts the open epoch if both agree on it, and opens a new one if they do not. When Redis is unavailable for
// too long, it opens an epoch with ModeSQL; as soon as Redis is back, one with ModeRedis.
func (e *Epochs) Check(ctx context.Context) error {
	checkCtx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	began := time.Now()
	instance, err := e.cfg.Conn.Instance(checkCtx)
	if err != nil {
		e.elsewhere = elsewhere{}
		return e.withoutRedis(ctx, began, err)
	}
	e.outage = outage{}
	// SQL first: its offset never exceeds what Redis has, unless Redis lost data.
	epoch, err := e.readSQL(checkCtx)
	if err != nil && !errors.Is(err, ErrNoEpoch) {
		return e.withoutSQL(ctx, instance, began, fmt.Errorf("read the open epoch: %w", err))
	}
	if err := e.checkDurability(epoch); err != nil {
		return err
	}
	if epoch.Mode == ModeSQL {
		e.adopt(epoch, began) // Orders go on in SQL until the next epoch is open.
	}
	reason, err := e.compare(checkCtx, epoch, instance)
	if err != nil {
		e.suspend(err)
		return err
	}
	if reason == "" {
		e.elsewhere = elsewhere{}
		return e.goOn(checkCtx, epoch, began)
	}
	if err := e.checkElsewhere(checkCtx, epoch, instance, reason); err != nil {
		return err
	}
	return e.replace(ctx, epoch, instance, reason)
}

// checkDurability suspends the epoch if it has another durability than this process.
func (e *Epochs) checkDurability(epoch Epoch) error {
	if epoch.Durability == "" || epoch.Durability == e.cfg.Durability {
		return nil
	}
	err := fmt.Errorf("this shop runs with durability %q and this process with %q: start it with --durability %s, or change the shop's "+
		"by `spillway durability`: %w", epoch.Durability, e.cfg.Durability, epoch.Durability, ErrDurability)
	e.suspend(err)
	return err
}

// readSQL reads the open epoch from SQL.
func (e *Epochs) readSQL(ctx context.Context) (Epoch, error) {
	ctx, cancel := context.WithTimeout(ctx, sqlTimeout)
	defer cancel()
	return e.cfg.Store.OpenEpoch(ctx, e.cfg.Keys.Partition)
}

// goOn is the end of a check that found the epoch open.
func (e *Epochs) goOn(ctx context.Context, epoch Epoch, began time.Time) error {
	if err := e.checkReplicas(ctx, epoch.Instance); err != nil {
		e.suspend(err)
		return err
	}
	e.shareChecked = true
	e.adopt(epoch, began)
	e.recordSeen(ctx, epoch, began)
	return nil
}

// checkReplicas checks, once an instance, that Redis is configured for the durability.
func (e *Epochs) checkReplicas(ctx context.Context, instance string) error {
	if !e.cfg.Replicas || e.configured == instance {
		return nil
	}
	if err := e.cfg.Conn.CheckReplicas(ctx); err != nil {
		return err
	}
	e.configured = instance
	return nil
}

// withoutSQL is the end of a check that could not read SQL: what Redis knows stays true, so an open epoch goes on where it was opened. A Redis
// that was replaced does not know it: unless a majority of the Sentinels confirms it, the epoch is not used, because another process may have
// opened the next one.
func (e *Epochs) withoutSQL(ctx context.Context, instance string, began time.Time, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	current, err := e.Current()
	if err == nil && current.Instance == instance {
		if err = e.cfg.Conn.Confirm(ctx, instance); err == nil {
			e.adopt(current, began)
			return cause
		}
	}
	e.suspend(errors.Join(cause, err))
	return cause
}

// replace closes the epoch for the reason and opens the next one on the instance. The instance is confirmed after the epoch was read: a
// process that is cut off together with the old primary must not open an epoch on it after another process has opened one on the new
// primary.
func (e *Epochs) replace(ctx context.Context, epoch Epoch, instance, reason string) error {
	e.suspendUnlessSQL(epoch, fmt.Errorf("%s; the counters are being rebuilt from SQL", reason))
	if epoch.Instance != instance && !e.cfg.Conn.Embedded() {
		e.cfg.Conn.Disallow() // Nothing is written to a Redis without the open epoch, also by those who need no epoch.
	}
	if err := e.cfg.Conn.Confirm(ctx, instance); err != nil {
		err = fmt.Errorf("%s: %w", reason, err)
		e.suspendUnlessSQL(epoch, err)
		return err
	}
	if epoch.Number > 0 {
		e.cfg.Log.WarnContext(ctx, "closing the epoch", "epoch", epoch.Number, "reason", reason)
	}
	return e.rebuild(ctx, epoch, instance)
}
