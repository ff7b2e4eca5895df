package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spillway/spillway/order"
)

const (
	allOrders    = "SELECT COUNT(*) FROM orders"
	allItems     = "SELECT COUNT(*) FROM order_items"
	allShipments = "SELECT COUNT(*) FROM shipments"
	allIntents   = "SELECT COUNT(*) FROM order_cancellations"
)

// stateName is the name of a state that was read as text.
func stateName(text string) string {
	n, err := strconv.ParseInt(text, 10, 8)
	if err != nil {
		return "state " + text
	}
	return order.State(n).String()
}

// UnknownStates finds orders in a state that there is not.
func (v *AuditView) UnknownStates(ctx context.Context, each func(Violation)) (int64, error) {
	return v.find(ctx, rule{
		counts:     allOrders,
		violations: "SELECT id, state FROM orders WHERE NOT " + stateIs("state", order.States()...),
		describe: func(r []string) Violation {
			return Violation{OrderID: order.ID(r[0]), Detail: "its state is " + r[1] + ", which there is not"}
		},
	}, each)
}

// wrongTotals joins the orders with one sum for each. A subquery for each order would read all items every time when MySQL's statistics are older than the
// items: 36,000 orders took longer than two minutes.
const wrongTotals = "SELECT o.id, o.items_total, o.shipping_total, o.total, i.items FROM orders o " +
	"LEFT JOIN (SELECT order_id, SUM(quantity * unit_price) AS items FROM order_items GROUP BY order_id) i ON i.order_id = o.id " +
	"WHERE o.items_total <> COALESCE(i.items, -1) OR o.total <> o.items_total + o.shipping_total"

// TotalsThatDoNotAddUp finds orders with totals that are not the sum of their items and shipping, or that have no items.
func (v *AuditView) TotalsThatDoNotAddUp(ctx context.Context, each func(Violation)) (int64, error) {
	return v.find(ctx, rule{
		counts:     allOrders,
		violations: wrongTotals,
		describe: func(r []string) Violation {
			f := Violation{OrderID: order.ID(r[0])}
			if f.Detail = fmt.Sprintf("its items sum to %s; it says items %s + shipping %s = total %s", r[4], r[1], r[2], r[3]); r[4] == "" {
				f.Detail = "it has no items, and a total of " + r[3]
			}
			return f
		},
	}, each)
}

// ItemsWithoutOrder finds items of orders that do not exist.
func (v *AuditView) ItemsWithoutOrder(ctx context.Context, each func(Violation)) (int64, error) {
	return v.find(ctx, rule{
		counts:     allItems,
		violations: "SELECT i.order_id, i.sku, i.quantity FROM order_items i LEFT JOIN orders o ON o.id = i.order_id WHERE o.id IS NULL",
		describe: func(r []string) Violation {
			return Violation{OrderID: order.ID(r[0]), SKU: order.SKU(r[1]), Detail: r[2] + " units of an order that has no row"}
		},
	}, each)
}

// ShippedWithoutShipment finds SHIPPED orders of which no parcel is known.
func (v *AuditView) ShippedWithoutShipment(ctx context.Context, each func(Violation)) (int64, error) {
	shipped := stateIs("state", order.Shipped)
	return v.find(ctx, rule{
		counts:     allOrders + " WHERE " + shipped,
		violations: "SELECT o.id FROM orders o LEFT JOIN shipments s ON s.order_id = o.id WHERE o." + shipped + " AND s.order_id IS NULL",
		describe: func(r []string) Violation {
			return Violation{OrderID: order.ID(r[0]), Detail: "it is SHIPPED, but has no shipment"}
		},
	}, each)
}

// ShipmentsOfOthers finds parcels of orders that are not SHIPPED.
func (v *AuditView) ShipmentsOfOthers(ctx context.Context, each func(Violation)) (int64, error) {
	return v.find(ctx, rule{
		counts: allShipments,
		violations: "SELECT s.order_id, s.tracking_id, o.state FROM shipments s LEFT JOIN orders o ON o.id = s.order_id WHERE o.id IS NULL OR NOT " +
			stateIs("o.state", order.Shipped),
		describe: func(r []string) Violation {
			f := Violation{OrderID: order.ID(r[0]), Detail: "parcel " + r[1] + " was shipped for an order that has no row"}
			if r[2] != "" {
				f.Detail = "parcel " + r[1] + " was shipped, but the order is " + stateName(r[2])
			}
			return f
		},
	}, each)
}

// CancelledAtTheCarrier finds CANCELLED orders that the carrier may have.
func (v *AuditView) CancelledAtTheCarrier(ctx context.Context, each func(Violation)) (int64, error) {
	cancelled := stateIs("state", order.Cancelled)
	return v.find(ctx, rule{
		counts:     allOrders + " WHERE " + cancelled,
		violations: "SELECT id FROM orders WHERE " + cancelled + " AND ship_claimed_at IS NOT NULL",
		describe: func(r []string) Violation {
			return Violation{OrderID: order.ID(r[0]), Detail: "it is CANCELLED although it was claimed for the carrier"}
		},
	}, each)
}

// IntentsOfLiving finds cancellations of orders that are not CANCELLED. An order that turns up after it was declared lost is cancelled
// when the cancellation is taken up, or, if the carrier has it, the cancellation goes; until then nothing of it is done.
func (v *AuditView) IntentsOfLiving(ctx context.Context, each func(Violation)) (int64, error) {
	return v.find(ctx, rule{
		counts: allIntents,
		violations: "SELECT x.order_id, o.state FROM order_cancellations x JOIN orders o ON o.id = x.order_id WHERE NOT " + stateIs("o.state", order.Cancelled) +
			" AND (? OR x.refunded_at IS NOT NULL OR x.finished_at IS NOT NULL OR (x.units <> '' AND x.restocked_at IS NOT NULL) OR x.created_at < ?)",
		args: []any{v.horizon.Drained, v.horizon.Since},
		describe: func(r []string) Violation {
			return Violation{OrderID: order.ID(r[0]), Detail: "a cancellation was written, but the order is " + stateName(r[1])}
		},
	}, each)
}

// UnfinishedIntents finds cancellations that are not finished for too long, or, if nothing may be on its way, at all.
func (v *AuditView) UnfinishedIntents(ctx context.Context, each func(Violation)) (int64, error) {
	return v.find(ctx, rule{
		counts:     allIntents,
		violations: "SELECT order_id, attempts FROM order_cancellations WHERE finished_at IS NULL AND (? OR created_at < ?)",
		args:       []any{v.horizon.Drained, v.horizon.Since},
		describe: func(r []string) Violation {
			return Violation{OrderID: order.ID(r[0]), Detail: "its cancellation is not finished after " + r[1] + " attempts"}
		},
	}, each)
}

// IncompleteIntents finds cancellations that are said to be finished without having given back what they should.
func (v *AuditView) IncompleteIntents(ctx context.Context, each func(Violation)) (int64, error) {
	return v.find(ctx, rule{
		counts: allIntents + " WHERE finished_at IS NOT NULL",
		violations: "SELECT x.order_id, x.units, x.refund_amount, COALESCE(r.booked, 0), x.restocked_at IS NULL FROM order_cancellations x " +
			"LEFT JOIN " + refundSums + " r ON r.order_id = x.order_id WHERE x.finished_at IS NOT NULL " +
			"AND ((x.units <> '' AND x.restocked_at IS NULL) OR x.refund_amount <> COALESCE(r.booked, 0))",
		describe: func(r []string) Violation {
			f := Violation{OrderID: order.ID(r[0]), Detail: fmt.Sprintf("its cancellation is finished and says that %s was refunded; booked is %s", r[2], r[3])}
			if r[1] != "" && r[4] == "1" {
				f.Detail = "its cancellation is finished, but the units " + r[1] + " are not back in stock"
			}
			return f
		},
	}, each)
}
