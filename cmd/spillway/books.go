package main

import (
	"context"
	"errors"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// books lets the stock package see SQL. The two do not know each other.
type books struct {
	*store.Stock

	orders *store.Orders
}

var _ stock.Books = books{}

func toStock(e store.Epoch) stock.Epoch {
	return stock.Epoch{
		Number: e.Number, Instance: e.Instance, LastID: e.LastID, OpenedAt: e.OpenedAt, Closed: e.Closed,
		Durability: e.Durability, RecordsLostAt: e.RecordsLostAt,
	}
}

// OpenEpoch reads the open epoch.
func (b books) OpenEpoch(ctx context.Context, partition uint8) (stock.Epoch, error) {
	e, err := b.Stock.OpenEpoch(ctx, partition)
	if errors.Is(err, store.ErrNoEpoch) {
		return stock.Epoch{}, order.ErrNotFound
	}
	return toStock(e), err
}

// EpochAt reads an epoch, open or closed.
func (b books) EpochAt(ctx context.Context, partition uint8, number int64) (stock.Epoch, error) {
	e, err := b.Stock.EpochAt(ctx, partition, number)
	return toStock(e), err
}

// NextEpoch closes one epoch and opens the next.
func (b books) NextEpoch(ctx context.Context, partition uint8, expect int64, next stock.Epoch) (stock.Epoch, error) {
	e, err := b.CloseAndOpen(ctx, expect, store.Epoch{
		Partition: partition, Instance: next.Instance, Durability: next.Durability, RecordsLostAt: next.RecordsLostAt,
	})
	if errors.Is(err, store.ErrEpochConflict) {
		return stock.Epoch{}, order.ErrExists
	}
	return toStock(e), err
}

// Snapshot reads the open epoch and the stock at its place.
func (b books) Snapshot(ctx context.Context, partition uint8, skus []order.SKU) (stock.Epoch, map[order.SKU]int64, error) {
	e, units, err := b.Stock.Snapshot(ctx, partition, skus)
	return toStock(e), units, err
}

// Standing reads what SQL knows of an order.
func (b books) Standing(ctx context.Context, id order.ID) (stock.Standing, error) {
	s, err := b.orders.Standing(ctx, id)
	if err != nil {
		return stock.Standing{}, err
	}
	if reason, ok := s.Cancelled(); ok {
		return stock.Standing{State: order.Cancelled, Reason: reason, At: s.UpdatedAt}, nil
	}
	if !s.Exists || s.State == order.Cancelled { // The row of a duplicate: its units are still to return.
		return stock.Standing{State: order.Pending}, nil
	}
	return stock.Standing{State: s.State, Reason: s.Reason, At: s.UpdatedAt}, nil
}
