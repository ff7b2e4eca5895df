package app

import (
	"context"
	"errors"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/store"
)

// durable waits for what the setting promises. With durability journal that is nothing: the journal is as durable as Redis once the script has
// returned.
func (deps *dependencies) durable() server.Durability {
	switch deps.flush.Durability {
	case store.DurabilitySQL:
		return sqlDurable{deps.progress, deps.policies[breaker.SQL], deps.inSQLMode}
	case store.DurabilityReplica:
		return alwaysReady{journal.NewReplicated(deps.keys, deps.redis, deps.epochs)}
	default:
		return alwaysReady{noWait{}}
	}
}

// sqlDurable waits for SQL, as the flusher of this process brings it on. It is not ready while SQL is known to be unavailable: orders would be reserved, and
// wait in vain.
type sqlDurable struct {
	*journal.Progress
	sql interface{ Check() error }
	// inSQLMode reports whether orders are taken in SQL: then there is no journal to be applied.
	inSQLMode func() bool
}

// Ready needs no call of SQL.
func (d sqlDurable) Ready() error {
	if err := d.sql.Check(); err != nil || d.inSQLMode() {
		return err
	}
	return d.Progress.Ready()
}

// alwaysReady is a durability that does not need SQL.
type alwaysReady struct{ server.DurabilityWaiter }

// Ready returns nil.
func (alwaysReady) Ready() error { return nil }

type noWait struct{}

// Wait returns nil.
func (noWait) Wait(context.Context, journal.Offset, order.ID) error { return nil }

// sqlWaiter waits for SQL, whichever process flushes.
type sqlWaiter struct{ deps *dependencies }

// sqlPollInterval is the time between two reads of SQL's offset. The flusher in this process signals sooner; reading is for one that runs
// elsewhere.
const sqlPollInterval = 50 * time.Millisecond

// inSQL returns when SQL includes the place.
func (d sqlWaiter) inSQL(ctx context.Context, place journal.Offset) error {
	st := store.NewStock(d.deps.db)
	if place == (journal.Offset{}) { // It was made in SQL.
		return nil
	}
	for {
		e, err := st.EpochAt(ctx, partition, place.Epoch)
		switch {
		case err != nil:
			return err
		case journal.CompareIDs(e.LastID, place.ID) >= 0:
			return nil
		case e.Closed:
			return errors.Join(journal.ErrEpochPassed, order.ErrUnavailable)
		}
		wait, cancel := context.WithTimeout(ctx, sqlPollInterval)
		err = d.deps.progress.Wait(wait, place, "")
		if errors.Is(err, journal.ErrStalled) { // Only this process' flusher, or it has none.
			<-wait.Done()
		}
		cancel()
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
