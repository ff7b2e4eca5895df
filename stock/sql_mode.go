package stock

import (
	"context"
	"errors"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// SQLMode takes the steps of orders in SQL, in an open epoch with journal.ModeSQL. The methods are like those of Stock; they return ErrEpochEnded, and do
// nothing, if the epoch is not open any more.
type SQLMode interface {
	Reserve(ctx context.Context, epoch journal.Epoch, r Request) (Reservation, error)
	Settle(ctx context.Context, epoch journal.Epoch, id order.ID) error
	// Release also gives the units of a duplicate back.
	Release(ctx context.Context, epoch journal.Epoch, id order.ID, reason order.CancelReason) error
	Restock(ctx context.Context, epoch journal.Epoch, id order.ID, units []order.Delta, reason order.CancelReason) error
	Adjust(ctx context.Context, epoch journal.Epoch, a order.Adjustment) (left int64, err error)
	Replay(ctx context.Context, customer order.CustomerID, key string, fingerprint []byte) (order.ID, error)
	Available(ctx context.Context, skus []order.SKU) (map[order.SKU]int64, error)
	// HotOrder returns order.ErrNotFound if SQL alone decides about the order, and order.ErrUnavailable if only Redis may have it.
	HotOrder(ctx context.Context, id order.ID) error
}

// ErrEpochEnded means that an epoch with journal.ModeSQL is not open any more.
var ErrEpochEnded = errors.New("the epoch in SQL has ended")

// WithSQLMode sets what takes the steps while Redis is unavailable. It is called before the first step. Without it no epoch may be opened with
// journal.ModeSQL.
func (s *Stock) WithSQLMode(m SQLMode) *Stock {
	s.sql = m
	return s
}

// inSQL reports whether steps are taken in SQL.
func (s *Stock) inSQL() bool {
	epoch, err := s.epochs.Current()
	return err == nil && epoch.Mode == journal.ModeSQL
}

// checked requests a check of the epoch if the error of a step shows that it has ended, and returns the error.
func (s *Stock) checked(err error) error {
	if errors.Is(err, ErrEpochEnded) {
		s.epochs.RequestCheck()
	}
	return err
}
