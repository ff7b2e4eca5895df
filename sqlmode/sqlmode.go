package sqlmode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// Store is the SQL database.
type Store interface {
	InSQLEpoch(ctx context.Context, of journal.Epoch, steps func(ctx context.Context, tx *store.SQLEpochTx) (*store.SQLSteps, error)) (store.Outcome, error)
	SQLUnits(ctx context.Context, skus []order.SKU) (map[order.SKU]store.Units, error)
}

// Orders reads orders in SQL.
type Orders interface {
	FindByKey(ctx context.Context, customer order.CustomerID, key string) (order.Order, error)
	Standing(ctx context.Context, id order.ID) (store.Standing, error)
}

// Mode takes the steps of orders in SQL, in the epoch that the caller names. Steps that wait at the same time share one transaction. A step fails with
// stock.ErrEpochEnded when the epoch is not open any more; nothing was done then. It is safe for concurrent use.
type Mode struct {
	durability string
	limits     stock.Limits
	store      Store
	orders     Orders
	now        func() time.Time
	steps      batcher
	placed     placed
}

// New makes the mode of a process with the durability.
func New(durability string, limits stock.Limits, st Store, orders Orders) *Mode {
	m := &Mode{durability: durability, limits: limits, store: st, orders: orders, now: time.Now}
	m.steps.run = m.runBatch
	return m
}

// sellsAll reports whether all stock is sold in SQL. Otherwise the journal may hold acknowledged orders that SQL has not seen, and only what Redis did
// not get is sold.
func (m *Mode) sellsAll() bool { return m.durability == store.DurabilitySQL }

// Reserve is stock.Stock.Reserve.
func (m *Mode) Reserve(ctx context.Context, epoch journal.Epoch, r stock.Request) (stock.Reservation, error) {
	o, err := wire.UnmarshalSnapshot(r.Snapshot)
	if err != nil {
		return stock.Reservation{}, err
	}
	s := &step{epoch: epoch, reserve: &r, order: o}
	if err := m.steps.do(ctx, s); err != nil {
		return stock.Reservation{Offset: journal.Offset{Epoch: epoch.Number}}, err
	}
	return stock.Reservation{Replay: s.replay}, nil
}

// Settle is stock.Stock.Settle.
func (m *Mode) Settle(ctx context.Context, epoch journal.Epoch, id order.ID) error {
	return m.steps.do(ctx, &step{epoch: epoch, settle: id})
}

// Release is stock.Stock.Release and stock.Stock.Revoke: an order with a row that is PAID is not released by either.
func (m *Mode) Release(ctx context.Context, epoch journal.Epoch, id order.ID, reason order.CancelReason) error {
	return m.steps.do(ctx, &step{epoch: epoch, release: id, reason: reason})
}

// Restock is stock.Stock.Restock.
func (m *Mode) Restock(ctx context.Context, epoch journal.Epoch, id order.ID, units []order.Delta, reason order.CancelReason) error {
	return m.steps.do(ctx, &step{epoch: epoch, restock: &store.Return{Hold: store.Hold{OrderID: id, Deltas: units}, Reason: reason}})
}

// Adjust is stock.Stock.Adjust. Unless all stock is sold in SQL it takes no units out: Redis may have sold them.
func (m *Mode) Adjust(ctx context.Context, epoch journal.Epoch, a order.Adjustment) (left int64, err error) {
	if a.Units < 0 && !m.sellsAll() {
		return 0, unavailable("units are taken out again when redis is back, because it may have sold them")
	}
	a.At = m.now()
	s := &step{epoch: epoch, adjust: &a}
	if err := m.steps.do(ctx, s); err != nil { // The step may still be under way.
		return 0, err
	}
	return s.left, nil
}

// Replay is stock.Stock.Replay.
func (m *Mode) Replay(ctx context.Context, customer order.CustomerID, key string, fingerprint []byte) (order.ID, error) {
	o, err := m.orders.FindByKey(ctx, customer, key)
	switch {
	case errors.Is(err, order.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	case !bytes.Equal(o.Fingerprint, fingerprint):
		return "", order.KeyReused(o.ID)
	}
	return o.ID, nil
}

// Available reads how many units of each SKU can be bought now. Unknown SKUs are absent.
func (m *Mode) Available(ctx context.Context, skus []order.SKU) (map[order.SKU]int64, error) {
	units, err := m.store.SQLUnits(ctx, skus)
	out := make(map[order.SKU]int64, len(units))
	for sku, u := range units {
		out[sku] = m.sellable(u)
	}
	return out, err
}

// sellable is how many of the units are sold in SQL.
func (m *Mode) sellable(u store.Units) int64 {
	if m.sellsAll() {
		return u.Stock
	}
	return min(u.Reserve, u.Stock)
}

// HotOrder returns order.ErrNotFound for an order about which SQL alone decides: it has a row, or no Redis can have it. Otherwise the order may be in
// the Redis that is unavailable.
func (m *Mode) HotOrder(ctx context.Context, id order.ID) error {
	if m.sellsAll() {
		return order.ErrNotFound
	}
	s, err := m.orders.Standing(ctx, id)
	switch {
	case err != nil:
		return err
	case s.Exists || s.Returned:
		return order.ErrNotFound
	}
	return unavailable("order %s is not in SQL, and redis is unavailable", id)
}

func unavailable(format string, args ...any) error {
	return &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), order.ErrUnavailable)}
}
