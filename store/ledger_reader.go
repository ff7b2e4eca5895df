package store

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/ent/refund"
	"github.com/spillway/spillway/order"
)

// maxRefunds bounds the refunds of one order that are read; operators make a few.
const maxRefunds = 1000

// LedgerReader reads the ledger for those who look at it. It writes nothing, so that it can have connections of its own.
type LedgerReader struct{ db *DB }

// NewLedgerReader makes the reader.
func NewLedgerReader(db *DB) *LedgerReader { return &LedgerReader{db: db} }

// Get reads an order's line; order.ErrNotFound when no charge was requested.
func (l *LedgerReader) Get(ctx context.Context, id order.ID) (order.Charge, error) {
	return fetch(ctx, l.db, func(ctx context.Context) (order.Charge, error) { return getCharge(ctx, l.db.ent, id) })
}

// Refunds reads the refunds of an order, oldest first.
func (l *LedgerReader) Refunds(ctx context.Context, id order.ID) ([]order.Refund, error) {
	return fetch(ctx, l.db, func(ctx context.Context) ([]order.Refund, error) {
		found, err := l.db.ent.Refund.Query().Where(refund.OrderID(string(id))).Order(refund.ByCreatedAt(), refund.ByID()).Limit(maxRefunds).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read refunds: %w", err)
		}
		return convert(found, toRefund), nil
	})
}
