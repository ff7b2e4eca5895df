package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/stockepoch"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// SQLSteps are the effects of a batch of steps that is taken in SQL while Redis is unavailable. Deltas, Releases, Restocks, Adjustments, Holds and
// Changes are as in a Range.
type SQLSteps struct {
	Range
	// Reserve are the changes of what Redis does not get; empty if all stock is sold in SQL.
	Reserve map[order.SKU]int64
	// Paid are the orders with a confirmation that is to be sent.
	Paid []order.ID
}

// SQLEpochTx is a transaction of an open epoch with journal.ModeSQL. It holds the lock of the epoch, so that no other batch of any process runs at the
// same time: what it reads of orders and stock stays true until its commit.
type SQLEpochTx struct {
	db     *DB
	client *ent.Client
	epoch  *ent.StockEpoch
}

// InSQLEpoch runs steps in a transaction of the open epoch with the number, and applies the effects that it returns as FlushRange does: as a range of the
// epoch's log. It returns ErrFlushConflict if the epoch is not open any more, or runs with another durability. steps may run again after a deadlock, and
// returns nil effects if there are none.
func (s *Stock) InSQLEpoch(
	ctx context.Context, of journal.Epoch, steps func(ctx context.Context, tx *SQLEpochTx) (*SQLSteps, error),
) (Outcome, error) {
	var out Outcome
	err := s.db.tx(ctx, func(ctx context.Context, client *ent.Client) (err error) {
		tx, err := s.lockSQLEpoch(ctx, client, of)
		if err != nil {
			return err
		}
		effects, err := steps(ctx, tx)
		if err != nil || effects == nil {
			return err
		}
		out, err = s.applySteps(ctx, tx, effects)
		return err
	})
	return out, err
}

func (s *Stock) lockSQLEpoch(ctx context.Context, client *ent.Client, of journal.Epoch) (*SQLEpochTx, error) {
	found, err := locked(s.db, client.StockEpoch.Query().Where(
		stockepoch.PartitionNo(int16(of.Partition)), stockepoch.Epoch(of.Number), stockepoch.ClosedAtIsNil(),
		stockepoch.Mode(string(journal.ModeSQL)), stockepoch.Durability(of.Durability),
	)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, ErrFlushConflict
	}
	if err != nil {
		return nil, fmt.Errorf("lock epoch %d: %w", of.Number, err)
	}
	return &SQLEpochTx{db: s.db, client: client, epoch: found}, nil
}

// EntryID is the id of the batch in the epoch's log, where a journal has the id of an entry.
func (t *SQLEpochTx) EntryID() string {
	number, _, _ := strings.Cut(t.epoch.LastID, "-")
	n, _ := strconv.ParseInt(number, 10, 64) // The ids of this epoch are written by this function alone.
	return strconv.FormatInt(n+1, 10) + "-0"
}

func (s *Stock) applySteps(ctx context.Context, tx *SQLEpochTx, effects *SQLSteps) (Outcome, error) {
	r := effects.Range
	r.Partition, r.Epoch, r.PrevID = uint8(tx.epoch.PartitionNo), tx.epoch.Epoch, tx.epoch.LastID //nolint:gosec // It was one when it was written.
	r.FirstID, r.LastID = tx.EntryID(), tx.EntryID()
	if err := tx.client.StockEpoch.UpdateOne(tx.epoch).SetLastID(r.LastID).Exec(ctx); err != nil {
		return Outcome{}, fmt.Errorf("move the offset to %s: %w", r.LastID, err)
	}
	out, holds, err := s.content(ctx, tx.client, r)
	if err != nil {
		return Outcome{}, err
	}
	if len(out.Duplicates) > 0 {
		// Another transaction has inserted an order with the key since the keys were read: the steps are decided again.
		return Outcome{}, fmt.Errorf("%d keys belong to other orders: %w", len(out.Duplicates), errRaced)
	}
	if err := s.db.changeUnits(ctx, tx.client, unitsReserve, effects.Reserve); err != nil {
		return Outcome{}, err
	}
	if err := s.db.addDueMails(ctx, tx.client, order.MailConfirmation, effects.Paid); err != nil {
		return Outcome{}, err
	}
	return out, s.logRange(ctx, tx.client, r, holds)
}
