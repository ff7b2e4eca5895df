package sqlmode

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// runBatch takes the steps in one transaction. If SQL cannot take the row of one of them, it takes each half by itself, down to that one.
func (m *Mode) runBatch(steps []*step) {
	ctx := context.Background() // It serves many callers; the database's breaker bounds it.
	_, err := m.store.InSQLEpoch(ctx, steps[0].epoch, func(ctx context.Context, tx *store.SQLEpochTx) (*store.SQLSteps, error) {
		return newBatch(m, tx, steps).decide(ctx)
	})
	switch {
	case err == nil:
		m.remember(steps)
	case store.IsRowError(err) && len(steps) > 1:
		m.runBatch(steps[:len(steps)/2])
		m.runBatch(steps[len(steps)/2:])
	default:
		for _, s := range steps {
			s.reset()
			s.err = failed(err)
		}
	}
}

// failed is the error of a step in a transaction that failed.
func failed(err error) error {
	switch {
	case errors.Is(err, store.ErrFlushConflict):
		return &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("%w: %w", stock.ErrEpochEnded, order.ErrUnavailable)}
	case store.IsRowError(err):
		return err
	}
	return &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("SQL: %w: %w: %w", order.ErrUnavailable, order.ErrUnknownOutcome, err)}
}

// batch decides the steps of one transaction, one after the other: each sees what those before it have taken. The units that the batch gives back are
// for sale from the next one on, and the limits count the orders that it pays or releases until then.
type batch struct {
	mode  *Mode
	tx    *store.SQLEpochTx
	steps []*step
	out   store.SQLSteps

	units    map[order.SKU]store.Units
	orders   map[order.ID]store.SQLOrder
	adjusted map[string]order.Delta
	checks   *checks
}

func newBatch(m *Mode, tx *store.SQLEpochTx, steps []*step) *batch {
	b := &batch{mode: m, tx: tx, steps: steps}
	b.out.Deltas, b.out.Reserve = make(map[order.SKU]int64), make(map[order.SKU]int64)
	for _, s := range steps {
		s.reset()
	}
	return b
}

// decide sets the results of the steps and returns their effects, nil if there are none. An error of a single step is its result.
func (b *batch) decide(ctx context.Context) (*store.SQLSteps, error) {
	if err := b.read(ctx); err != nil {
		return nil, err
	}
	for _, s := range b.steps {
		switch {
		case s.reserve != nil:
			s.err = b.reserve(s)
		case s.settle != "":
			s.err = b.settle(s)
		case s.release != "":
			s.err = b.release(s)
		case s.restock != nil:
			b.restock(s)
		default:
			s.err = b.adjust(s)
		}
	}
	if b.out.Entries == 0 {
		return nil, nil
	}
	return &b.out, nil
}

// read reads what the steps are decided on: products before orders, as the flusher locks them.
func (b *batch) read(ctx context.Context) (err error) {
	var ids []order.ID
	var adjustments []string
	var skus []order.SKU
	for _, s := range b.steps {
		switch {
		case s.reserve != nil:
			for _, d := range s.reserve.Demand {
				skus = append(skus, d.SKU)
			}
		case s.settle != "" || s.release != "":
			ids = append(ids, order.ID(string(s.settle)+string(s.release)))
		case s.adjust != nil:
			adjustments, skus = append(adjustments, s.adjust.ID), append(skus, s.adjust.SKU)
		}
	}
	if b.units, err = b.tx.Units(ctx, distinct(skus)); err != nil {
		return err
	}
	if b.orders, err = b.tx.Orders(ctx, distinct(ids)); err != nil {
		return err
	}
	if b.adjusted, err = b.tx.Adjustments(ctx, adjustments); err != nil {
		return err
	}
	b.checks, err = readChecks(ctx, b.mode, b.tx, b.steps)
	return err
}

// change changes the units of a product for the rest of the batch.
func (b *batch) change(sku order.SKU, units int64) {
	u, known := b.units[sku]
	if !known { // No step of this batch takes units of it.
		b.out.Deltas[sku] += units
		return
	}
	u.Stock += units
	b.out.Deltas[sku] += units
	if units < 0 && !b.mode.sellsAll() {
		u.Reserve += units
		b.out.Reserve[sku] += units
	}
	b.units[sku] = u
}
