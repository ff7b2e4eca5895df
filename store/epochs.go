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

// NextEpoch closes the epoch of the offset (the zero Offset when there is none) and opens the next one as described by its Partition, Instance,
// Durability and RecordsLostAt, in one transaction. Of two callers one gets journal.ErrEpochConflict, and so does one with another durability than the
// epoch's, or another offset: it was changed since the caller read it.
func (s *Stock) NextEpoch(ctx context.Context, closed journal.Offset, next journal.Epoch) (journal.Epoch, error) {
	now := micro(time.Now())
	e := next
	e.Number, e.LastID, e.OpenedAt = closed.Epoch+1, journal.StartID, now
	err := s.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		if closed.Epoch > 0 {
			err := expectOneRow(journal.ErrEpochConflict)(tx.StockEpoch.Update().Where(
				stockepoch.PartitionNo(int16(e.Partition)), stockepoch.Epoch(closed.Epoch), stockepoch.LastID(closed.ID), stockepoch.ClosedAtIsNil(),
				stockepoch.DurabilityIn("", e.Durability),
			).SetClosedAt(now).Save(ctx))
			if err != nil {
				return err
			}
		}
		row := tx.StockEpoch.Create().SetPartitionNo(int16(e.Partition)).SetEpoch(e.Number).SetRunID(e.Instance).SetLastID(journal.StartID).
			SetOpenedAt(now).SetDurability(e.Durability)
		if !e.RecordsLostAt.IsZero() {
			row.SetRecordsLostAt(micro(e.RecordsLostAt))
		}
		err := row.Exec(ctx)
		if isDuplicate(err) {
			return journal.ErrEpochConflict
		}
		return err
	})
	if err != nil {
		return journal.Epoch{}, fmt.Errorf("open epoch %d of partition %d: %w", e.Number, e.Partition, err)
	}
	return e, nil
}

// Unreconciled reads the partition's epochs that were closed before the time and have not been reconciled, oldest first.
func (s *Stock) Unreconciled(ctx context.Context, partition uint8, closedBefore time.Time) ([]journal.Epoch, error) {
	return fetch(ctx, s.db, func(ctx context.Context) ([]journal.Epoch, error) {
		found, err := s.db.ent.StockEpoch.Query().Where(
			stockepoch.PartitionNo(int16(partition)), stockepoch.ClosedAtLT(micro(closedBefore)), stockepoch.ReconciledAtIsNil(),
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
