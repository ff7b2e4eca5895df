package app

import (
	"context"
	"errors"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/store"
)

// durable waits for what the setting promises. With durability journal that is nothing: the journal is as durable as Redis once the script has
// returned.
func (deps *dependencies) durable() server.DurabilityWaiter {
	switch deps.flush.Durability {
	case store.DurabilitySQL:
		return deps.progress
	case store.DurabilityReplica:
		return journal.NewReplicated(deps.keys, deps.redis, deps.epochs)
	default:
		return noWait{}
	}
}

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
		cancel()
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
