package store

import (
	"context"
	"errors"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/product"
	"github.com/spillway/spillway/ent/stockepoch"
	"github.com/spillway/spillway/journal"
)

// OpenSQLEpoch closes the epoch without its Redis and opens the next one with journal.ModeSQL, in one transaction. With durability sql no entry of the
// closed epoch that is not in SQL was acknowledged, so that none is applied any more; otherwise the epoch is to be drained.
// journal.ErrEpochConflict means that it was changed since it was read, that another process has found Redis, or that it is to be drained although it is open.
func (s *Stock) OpenSQLEpoch(ctx context.Context, closed journal.Epoch) (journal.Epoch, error) {
	next := journal.Epoch{
		Partition: closed.Partition, Number: closed.Number + 1, Durability: closed.Durability, RecordsLostAt: closed.RecordsLostAt,
		Mode: journal.ModeSQL, ReserveShare: closed.ReserveShare,
	}
	err := s.replaceEpoch(ctx, &next, func(u *ent.StockEpochUpdate) {
		u.Where(stockepoch.LastID(closed.LastID), stockepoch.Durability(closed.Durability), stockepoch.Undrained(false)).
			SetUndrained(closed.Durability != DurabilitySQL)
		if closed.SeenAt.IsZero() {
			u.Where(stockepoch.RedisSeenAtIsNil())
		} else {
			u.Where(stockepoch.RedisSeenAt(micro(closed.SeenAt)))
		}
	}, func(context.Context, *ent.Client) error { return nil })
	if err != nil {
		return journal.Epoch{}, err
	}
	return next, nil
}

// Undrained reads the partition's epoch that is closed and to be drained; journal.ErrNoEpoch when there is none.
func (s *Stock) Undrained(ctx context.Context, partition uint8) (journal.Epoch, error) {
	return fetch(ctx, s.db, func(ctx context.Context) (journal.Epoch, error) {
		return onlyEpoch(ctx, s.db.ent, stockepoch.PartitionNo(int16(partition)), stockepoch.Undrained(true))
	})
}

// Drained records that the closed epoch of the offset is applied to its end. journal.ErrEpochConflict means that it was not to be drained, or that SQL has
// another offset.
func (s *Stock) Drained(ctx context.Context, partition uint8, at journal.Offset) error {
	return s.db.call(ctx, func(ctx context.Context) error {
		return expectOneRow(journal.ErrEpochConflict)(s.db.ent.StockEpoch.Update().Where(
			stockepoch.PartitionNo(int16(partition)), stockepoch.Epoch(at.Epoch), stockepoch.LastID(at.ID), stockepoch.Undrained(true),
		).SetUndrained(false).Save(ctx))
	})
}

// Seen records that Redis was found on the epoch at the time, unless it is closed.
func (s *Stock) Seen(ctx context.Context, partition uint8, number int64, at time.Time) error {
	return s.db.call(ctx, func(ctx context.Context) error {
		return s.db.ent.StockEpoch.Update().Where(
			stockepoch.PartitionNo(int16(partition)), stockepoch.Epoch(number), stockepoch.ClosedAtIsNil(),
		).SetRedisSeenAt(micro(at)).Exec(ctx)
	})
}

// setReserves sets what Redis does not get of each product in the epoch: nothing with durability sql, because all units can be sold in SQL then.
func (*Stock) setReserves(ctx context.Context, tx *ent.Client, next journal.Epoch) error {
	u := tx.Product.Update()
	if next.ReserveShare == 0 || next.Durability == DurabilitySQL {
		return u.Where(product.ReserveNEQ(0)).SetReserve(0).Exec(ctx)
	}
	share := next.ReserveShare
	return u.Modify(func(u *entsql.UpdateBuilder) {
		// MOD makes it whole units in both dialects: "/" of whole numbers is a decimal in MySQL.
		u.Set(product.FieldReserve, entsql.ExprFunc(func(b *entsql.Builder) {
			b.WriteString("(stock * ").Arg(share).WriteString(" - (stock * ").Arg(share).WriteString(") % 100) / 100")
		}))
	}).Exec(ctx)
}

// firstReserve is what Redis does not get of the first stock of a product.
func firstReserve(ctx context.Context, client *ent.Client, units int64) (int64, error) {
	open, err := onlyEpoch(ctx, client, stockepoch.ClosedAtIsNil())
	if errors.Is(err, journal.ErrNoEpoch) || err == nil && open.Durability == DurabilitySQL {
		return 0, nil
	}
	return units * int64(open.ReserveShare) / wholePercent, err
}

// wholePercent is everything, in percent.
const wholePercent = 100
