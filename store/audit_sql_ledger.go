package store

import (
	"context"

	"github.com/spillway/spillway/order"
)

// LedgerLine is the ledger's state of one order's money.
type LedgerLine struct {
	OrderID order.ID
	State   order.ChargeState
	Amount  order.Money
	// Booked is what its refunds sum to, Confirmed what those sum to that the provider has confirmed.
	Booked, Confirmed order.Cents
	// Moving reports that the charge or a refund of it changed after Since.
	Moving bool
}

// Ledger calls take for every charge.
func (v *AuditView) Ledger(ctx context.Context, take func(LedgerLine)) error {
	since := v.horizon.Since
	return each(ctx, v.tx, "the ledger", func(r scanner) error {
		var l LedgerLine
		err := r.Scan(&l.OrderID, &l.State, &l.Amount.Amount, &l.Amount.Currency, &l.Booked, &l.Confirmed, &l.Moving)
		if err == nil {
			take(l)
		}
		return err
	}, "SELECT c.order_id, c.state, c.amount, c.currency, COALESCE(r.booked, 0), COALESCE(r.confirmed, 0), c.updated_at >= ? OR COALESCE(r.moving, 0) > 0 "+
		"FROM charges c LEFT JOIN (SELECT order_id, SUM(amount) AS booked, SUM(CASE WHEN confirmed_at IS NULL THEN 0 ELSE amount END) AS confirmed, "+
		"SUM(CASE WHEN created_at >= ? OR confirmed_at >= ? THEN 1 ELSE 0 END) AS moving FROM refunds GROUP BY order_id) r ON r.order_id = c.order_id",
		since, since, since)
}

// ForRedis reads the stock of every product, less what Redis does not get.
func (v *AuditView) ForRedis(ctx context.Context) (map[order.SKU]int64, error) {
	out := make(map[order.SKU]int64)
	err := each(ctx, v.tx, "the stock", func(r scanner) error {
		var sku order.SKU
		var n int64
		err := r.Scan(&sku, &n)
		out[sku] = n
		return err
	}, "SELECT sku, stock - reserve FROM products")
	return out, err
}
