package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
// journal.ErrNoEpoch means that there is no epoch yet: the first process to start records its own setting.
func (s *Stock) SetDurability(ctx context.Context, partition uint8, to string) error {
	if !slices.Contains(Durabilities, to) {
		return fmt.Errorf("durability %q is none of %v: %w", to, Durabilities, order.ErrInvalid)
	}
	return s.db.call(ctx, func(ctx context.Context) error {
		n, err := s.db.ent.StockEpoch.Update().Where(stockepoch.PartitionNo(int16(partition)), stockepoch.ClosedAtIsNil()).SetDurability(to).Save(ctx)
		return expectOneRow(journal.ErrNoEpoch)(n, err)
	})
}
