package store

import (
	"context"

	"github.com/spillway/spillway/order"
)

const allReturns = "SELECT COUNT(*) FROM stock_returns"

// StockReturn is the journal entry that gave the units of an order back; Epoch is 0 when it was not recorded.
type StockReturn struct {
	Epoch   int64
	EntryID string
}

// Returns reads the returns of the orders; orders without a return are absent.
func (v *AuditView) Returns(ctx context.Context, ids []order.ID) (map[order.ID]StockReturn, error) {
	out := make(map[order.ID]StockReturn)
	err := each(ctx, v.tx, "the returned units", func(r scanner) error {
		var id order.ID
		var ret StockReturn
		err := r.Scan(&id, &ret.Epoch, &ret.EntryID)
		out[id] = ret
		return err
	}, "SELECT order_id, epoch, entry_id FROM stock_returns WHERE order_id IN ("+placeholders(len(ids))+")", anys(ids)...)
	return out, err
}

// ReturnedAndSold finds orders with units that are back in stock although they are paid, or for too long PENDING.
func (v *AuditView) ReturnedAndSold(ctx context.Context, each func(Violation)) (int64, error) {
	return v.find(ctx, rule{
		counts: allReturns,
		violations: "SELECT r.order_id, o.state, r.entry_id, r.reason FROM stock_returns r JOIN orders o ON o.id = r.order_id WHERE " +
			stateIs("o.state", order.Paid, order.Shipped, order.ShipFailed) + " OR (" + stateIs("o.state", order.Pending) + " AND r.returned_at < ?)",
		args: []any{v.horizon.Since},
		describe: func(r []string) Violation {
			return Violation{OrderID: order.ID(r[0]), Detail: "it is " + stateName(r[1]) + ", but its units returned to stock with entry " + r[2] + ": " + r[3]}
		},
	}, each)
}

// UnrecordedRestocks finds cancellations that are said to have given units back, of which there is no record, so that they could
// return once more.
func (v *AuditView) UnrecordedRestocks(ctx context.Context, each func(Violation)) (int64, error) {
	return v.find(ctx, rule{
		counts: allIntents,
		violations: "SELECT x.order_id, x.units FROM order_cancellations x LEFT JOIN stock_returns r ON r.order_id = x.order_id " +
			"WHERE x.units <> '' AND x.restocked_at IS NOT NULL AND r.order_id IS NULL",
		describe: func(r []string) Violation {
			return Violation{OrderID: order.ID(r[0]), Detail: "its cancellation says that the units " + r[1] + " are back in stock, but no return is recorded"}
		},
	}, each)
}

// CancelledWithoutReturn finds CANCELLED orders with units that never returned, and which no cancellation at work will return. Left out are
// those with a reservation that is a dead letter and so took nothing, and those that were cancelled by versions that did not record returns:
// such a version records no durability in its epochs either.
func (v *AuditView) CancelledWithoutReturn(ctx context.Context, each func(Violation)) (int64, error) {
	cancelled := stateIs("state", order.Cancelled)
	return v.find(ctx, rule{
		counts: allOrders + " WHERE " + cancelled,
		violations: "SELECT o.id, o.cancel_reason FROM orders o LEFT JOIN stock_returns r ON r.order_id = o.id" + unfinished("o.id") +
			"WHERE o." + cancelled + " AND r.order_id IS NULL AND (x.order_id IS NULL OR x.units = '') AND (? OR o.updated_at < ?) " +
			"AND o.updated_at >= (SELECT MIN(opened_at) FROM stock_epochs WHERE durability <> '') " +
			"AND NOT EXISTS (SELECT 1 FROM failed_orders f WHERE f.order_id = o.id AND f.source = ? AND f.status <> ?)",
		args: []any{v.horizon.Drained, v.horizon.Since, FlusherSource, DeadLetterReplayed},
		describe: func(r []string) Violation {
			return Violation{OrderID: order.ID(r[0]), Detail: "it is CANCELLED (" + r[1] + "), but its units never returned to stock"}
		},
	}, each)
}
