package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/ent/predicate"
	"github.com/spillway/spillway/ent/stockepoch"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// Durability reads the setting that the partition's open epoch records; empty when there is no epoch yet, or it records none.
func (s *Stock) Durability(ctx context.Context, partition uint8) (string, error) {
	e, err := s.OpenEpoch(ctx, partition)
	if errors.Is(err, journal.ErrNoEpoch) {
		return "", nil
	}
	return e.Durability, err
}

// SetDurability changes the setting of the partition's open epoch. Processes that run with another one stop taking and flushing orders.
// journal.ErrNoEpoch means that there is no epoch yet: the first process to start records its own setting. In an epoch with journal.ModeSQL it returns
// order.ErrFailedPrecondition: there the setting decides which units are sold, and the closed epoch is drained with its own. A change to sql makes the
// epoch one that is to be drained: its journal may hold entries that were acknowledged and are not in SQL. The first process that finds Redis flushes them,
// and opens the next epoch. So does a change from sql if there is a reserve share: with sql the epoch has no reserve, and only the next one gets it.
func (s *Stock) SetDurability(ctx context.Context, partition uint8, to string) error {
	if !slices.Contains(Durabilities, to) {
		return fmt.Errorf("durability %q is none of %v: %w", to, Durabilities, order.ErrInvalid)
	}
	return s.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		open := []predicate.StockEpoch{
			stockepoch.PartitionNo(int16(partition)), stockepoch.ClosedAtIsNil(), stockepoch.Mode(string(journal.ModeRedis)),
		}
		changed := append(slices.Clone(open), stockepoch.Durability(DurabilitySQL), stockepoch.ReserveShareGT(0))
		if to == DurabilitySQL {
			changed = append(slices.Clone(open), stockepoch.DurabilityNEQ(to))
		}
		if err := tx.StockEpoch.Update().Where(changed...).SetUndrained(true).Exec(ctx); err != nil {
			return err
		}
		n, err := tx.StockEpoch.Update().Where(open...).SetDurability(to).Save(ctx)
		if n == 1 || err != nil {
			return err
		}
		if _, err := openEpoch(ctx, tx, partition); err != nil {
			return err
		}
		return fmt.Errorf("orders are taken in SQL, because Redis is unavailable: the setting can be changed when it is back: %w", order.ErrFailedPrecondition)
	})
}
