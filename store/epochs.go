package store

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/deadletter"
	"github.com/spillway/spillway/ent/predicate"
	"github.com/spillway/spillway/ent/stockepoch"
	"github.com/spillway/spillway/journal"
)

// The durability settings as stock_epochs records them.
const (
	DurabilityJournal = "journal"
	DurabilityReplica = "replica"
	DurabilitySQL     = "sql"
)

// Durabilities are all settings.
var Durabilities = []string{DurabilityJournal, DurabilityReplica, DurabilitySQL}

func toEpoch(f *ent.StockEpoch) journal.Epoch {
	e := journal.Epoch{
		Partition: uint8(f.PartitionNo), //nolint:gosec // It was one when it was written.
		Number:    f.Epoch, Instance: f.RunID, LastID: f.LastID, OpenedAt: f.OpenedAt.UTC(), Closed: f.ClosedAt != nil, Durability: f.Durability,
		Mode: journal.Mode(f.Mode), Undrained: f.Undrained, ReserveShare: int(f.ReserveShare),
	}
	if f.RedisSeenAt != nil {
		e.SeenAt = f.RedisSeenAt.UTC()
	}
	if f.ClosedAt != nil {
		e.ClosedAt = f.ClosedAt.UTC()
	}
	if f.RecordsLostAt != nil {
		e.RecordsLostAt = f.RecordsLostAt.UTC()
	}
	return e
}

func openEpoch(ctx context.Context, client *ent.Client, partition uint8) (journal.Epoch, error) {
	return onlyEpoch(ctx, client, stockepoch.PartitionNo(int16(partition)), stockepoch.ClosedAtIsNil())
}

func onlyEpoch(ctx context.Context, client *ent.Client, where ...predicate.StockEpoch) (journal.Epoch, error) {
	found, err := client.StockEpoch.Query().Where(where...).First(ctx)
	if ent.IsNotFound(err) {
		return journal.Epoch{}, journal.ErrNoEpoch
	}
	if err != nil {
		return journal.Epoch{}, err
	}
	return toEpoch(found), nil
}

// OpenEpoch reads the open epoch; journal.ErrNoEpoch when there was none yet.
func (s *Stock) OpenEpoch(ctx context.Context, partition uint8) (journal.Epoch, error) {
	return fetch(ctx, s.db, func(ctx context.Context) (journal.Epoch, error) { return openEpoch(ctx, s.db.ent, partition) })
}

// EpochAt reads an epoch, open or closed; journal.ErrNoEpoch when there is none of that number.
func (s *Stock) EpochAt(ctx context.Context, partition uint8, number int64) (journal.Epoch, error) {
	return fetch(ctx, s.db, func(ctx context.Context) (journal.Epoch, error) {
		return onlyEpoch(ctx, s.db.ent, stockepoch.PartitionNo(int16(partition)), stockepoch.Epoch(number))
	})
}

// NextEpoch closes the epoch of the offset (the zero Offset when there is none) and opens the next one in Redis as described by its Partition,
// Instance, Durability, RecordsLostAt and ReserveShare, in one transaction, which also sets what Redis does not get of each product. Of two callers
// one gets journal.ErrEpochConflict, and so does one with another durability than the epoch's, or another offset, and one of an epoch that is to be drained: it was
// changed since the caller read it. An offset without an id stands for any.
func (s *Stock) NextEpoch(ctx context.Context, closed journal.Offset, next journal.Epoch) (journal.Epoch, error) {
	next.Number, next.Mode = closed.Epoch+1, journal.ModeRedis
	where := []predicate.StockEpoch{stockepoch.DurabilityIn("", next.Durability), stockepoch.Undrained(false)}
	if closed.ID != "" {
		where = append(where, stockepoch.LastID(closed.ID))
	}
	err := s.replaceEpoch(ctx, &next, func(u *ent.StockEpochUpdate) { u.Where(where...) }, func(ctx context.Context, tx *ent.Client) error {
		return s.setReserves(ctx, tx, next)
	})
	if err != nil {
		return journal.Epoch{}, err
	}
	return next, nil
}

// replaceEpoch closes the epoch before next, unless next is the first, and opens next, in one transaction. closing adds to the update of the closed
// epoch, and opened runs at the end of the transaction.
func (s *Stock) replaceEpoch(
	ctx context.Context, next *journal.Epoch, closing func(*ent.StockEpochUpdate), opened func(context.Context, *ent.Client) error,
) error {
	now := micro(time.Now())
	next.LastID, next.OpenedAt = journal.StartID, now
	err := s.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		if next.Number > 1 {
			u := tx.StockEpoch.Update().Where(
				stockepoch.PartitionNo(int16(next.Partition)), stockepoch.Epoch(next.Number-1), stockepoch.ClosedAtIsNil(),
			).SetClosedAt(now)
			closing(u)
			if err := expectOneRow(journal.ErrEpochConflict)(u.Save(ctx)); err != nil {
				return err
			}
		}
		row := tx.StockEpoch.Create().SetPartitionNo(int16(next.Partition)).SetEpoch(next.Number).SetRunID(next.Instance).SetLastID(next.LastID).
			SetOpenedAt(now).SetDurability(next.Durability).SetMode(string(next.Mode)).SetReserveShare(int8(next.ReserveShare)) //nolint:gosec // A percentage.
		if !next.RecordsLostAt.IsZero() {
			row.SetRecordsLostAt(micro(next.RecordsLostAt))
		}
		err := row.Exec(ctx)
		if isDuplicate(err) {
			return journal.ErrEpochConflict
		}
		if err != nil {
			return err
		}
		return opened(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("open epoch %d of partition %d: %w", next.Number, next.Partition, err)
	}
	return nil
}

// Unreconciled reads the partition's epochs that were closed before the time and have not been reconciled, oldest first, without one that is to be
// drained.
func (s *Stock) Unreconciled(ctx context.Context, partition uint8, closedBefore time.Time) ([]journal.Epoch, error) {
	return fetch(ctx, s.db, func(ctx context.Context) ([]journal.Epoch, error) {
		found, err := s.db.ent.StockEpoch.Query().Where(
			stockepoch.PartitionNo(int16(partition)), stockepoch.ClosedAtLT(micro(closedBefore)), stockepoch.ReconciledAtIsNil(),
			stockepoch.Undrained(false),
		).Order(stockepoch.ByEpoch()).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read closed epochs: %w", err)
		}
		return convert(found, toEpoch), nil
	})
}

// Discards returns how many dead letters were discarded so far: a scan for lost orders reads it first.
func (s *Stock) Discards(ctx context.Context) (int, error) {
	return fetch(ctx, s.db, func(ctx context.Context) (int, error) { return discards(ctx, s.db.ent) })
}

func discards(ctx context.Context, client *ent.Client) (int, error) {
	n, err := client.DeadLetter.Query().Where(deadletter.Status(DeadLetterDiscarded)).Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count discarded dead letters: %w", err)
	}
	return n, nil
}

// Reconciled notes that the lost orders of a closed epoch have all been found. It does nothing if a dead letter was discarded since the
// scan read their number: the scan may have omitted its order, and is repeated.
func (s *Stock) Reconciled(ctx context.Context, partition uint8, epoch int64, discarded int) error {
	return s.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		of := []predicate.StockEpoch{stockepoch.PartitionNo(int16(partition)), stockepoch.Epoch(epoch)}
		// The lock comes first: a transaction that discards a dead letter of the epoch has it until its commit.
		if _, err := locked(s.db, tx.StockEpoch.Query().Where(of...)).Only(ctx); err != nil {
			return fmt.Errorf("lock epoch %d: %w", epoch, err)
		}
		now, err := discards(ctx, tx)
		if err != nil || now != discarded {
			return err
		}
		return tx.StockEpoch.Update().Where(of...).SetReconciledAt(micro(time.Now())).Exec(ctx)
	})
}
