// Package stocksql lets stock read and write SQL by store. The two do not know each other.
package stocksql

import (
	"context"
	"errors"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// Source is what stock needs of SQL, on the store's repositories.
type Source struct {
	stock  *store.Stock
	orders *store.Orders
}

var _ stock.Books = Source{}

// New makes the source on a database.
func New(db *store.DB) Source { return Source{store.NewStock(db), store.NewOrders(db)} }

func toStock(e store.Epoch) stock.Epoch {
	return stock.Epoch{
		Number: e.Number, Instance: e.Instance, LastID: e.LastID, OpenedAt: e.OpenedAt, Closed: e.Closed,
		Durability: e.Durability, RecordsLostAt: e.RecordsLostAt,
	}
}

// OpenEpoch reads the open epoch.
func (s Source) OpenEpoch(ctx context.Context, partition uint8) (stock.Epoch, error) {
	e, err := s.stock.OpenEpoch(ctx, partition)
	if errors.Is(err, store.ErrNoEpoch) {
		return stock.Epoch{}, order.ErrNotFound
	}
	return toStock(e), err
}

// EpochAt reads an epoch, open or closed.
func (s Source) EpochAt(ctx context.Context, partition uint8, number int64) (stock.Epoch, error) {
	e, err := s.stock.EpochAt(ctx, partition, number)
	return toStock(e), err
}

// NextEpoch closes one epoch and opens the next.
func (s Source) NextEpoch(ctx context.Context, partition uint8, expect int64, next stock.Epoch) (stock.Epoch, error) {
	e, err := s.stock.CloseAndOpen(ctx, expect, store.Epoch{
		Partition: partition, Instance: next.Instance, Durability: next.Durability, RecordsLostAt: next.RecordsLostAt,
	})
	if errors.Is(err, store.ErrEpochConflict) {
		return stock.Epoch{}, order.ErrAlreadyExists
	}
	return toStock(e), err
}

// Snapshot reads the open epoch and the stock at its place.
func (s Source) Snapshot(ctx context.Context, partition uint8, skus []order.SKU) (stock.Epoch, map[order.SKU]int64, error) {
	e, units, err := s.stock.Snapshot(ctx, partition, skus)
	return toStock(e), units, err
}

// Standing reads what SQL knows of an order.
func (s Source) Standing(ctx context.Context, id order.ID) (stock.Standing, error) {
	st, err := s.orders.Standing(ctx, id)
	if err != nil {
		return stock.Standing{}, err
	}
	if reason, ok := st.Cancelled(); ok {
		return stock.Standing{State: order.Cancelled, Reason: reason.Encode(), At: st.UpdatedAt}, nil
	}
	if !st.Exists || st.State == order.Cancelled { // The row of a duplicate: its units are still to return.
		return stock.Standing{State: order.Pending}, nil
	}
	return stock.Standing{State: st.State, Reason: st.Reason.Encode(), At: st.UpdatedAt}, nil
}
