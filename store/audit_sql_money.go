package store

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spillway/spillway/order"
)

const (
	allCharges = "SELECT COUNT(*) FROM charges"
	allRefunds = "SELECT COUNT(*) FROM refunds"
)

var chargeNames = map[order.ChargeState]string{
	order.ChargePending: "PENDING", order.ChargeSucceeded: "SUCCEEDED", order.ChargeDeclined: "DECLINED", order.ChargeVoided: "VOIDED", order.ChargeRefunded: "REFUNDED",
	order.ChargeRefunding: "REFUNDING",
}

// chargeName is the name of a charge's state that was read as text.
func chargeName(text string) string {
	n, err := strconv.ParseInt(text, 10, 8)
	if name, ok := chargeNames[order.ChargeState(n)]; err == nil && ok {
		return name
	}
	return "in state " + text
}

// sum shows an amount that was read as text.
func sum(amount, currency string) string {
	n, err := strconv.ParseInt(amount, 10, 64)
	if err != nil {
		return amount + " " + currency
	}
	return order.Money{Currency: order.Currency(currency), Amount: order.Cents(n)}.String()
}

// UnchargedOrders finds orders that are PAID, or further, without a charge, or with one that was refunded without an operator's refund. Such a refund is
// of a part, or of all of a SHIPPED order.
func (v *AuditView) UnchargedOrders(ctx context.Context, each func(Violation)) (int64, error) {
	sold := stateIs("state", order.Paid, order.Shipped, order.ShipFailed)
	charged := "(" + chargeIs(
		"c.state",
		order.ChargeSucceeded,
	) + " OR (" + stateIs(
		"o.state",
		order.Shipped,
	) + " AND " + chargeIs(
		"c.state",
		order.ChargeRefunding,
		order.ChargeRefunded,
	) + "))"
	return v.find(ctx, rule{
		counts: allOrders + " WHERE " + sold,
		violations: "SELECT o.id, o.state, c.state, NULL FROM orders o LEFT JOIN charges c ON c.order_id = o.id WHERE o." + sold +
			" AND (c.order_id IS NULL OR NOT " + charged + ") UNION ALL " +
			"SELECT o.id, o.state, c.state, SUM(r.amount) FROM refunds r JOIN orders o ON o.id = r.order_id JOIN charges c ON c.order_id = r.order_id " +
			"WHERE r.request_key IS NULL AND o." + sold + " AND " + charged + " GROUP BY o.id, o.state, c.state",
		describe: func(r []string) Violation {
			f := Violation{OrderID: order.ID(r[0])}
			switch {
			case r[3] != "":
				f.Detail = "it is " + stateName(r[1]) + ", but " + r[3] + " of its charge go back, or went, which no operator asked for"
			case r[2] != "":
				f.Detail = "it is " + stateName(r[1]) + ", but its charge is " + chargeName(r[2])
			default:
				f.Detail = "it is " + stateName(r[1]) + ", but was never charged"
			}
			return f
		},
	}, each)
}

// WrongAmounts finds charges that took another amount than the order's total.
func (v *AuditView) WrongAmounts(ctx context.Context, each func(Violation)) (int64, error) {
	taken := chargeIs("state", order.ChargeSucceeded, order.ChargeRefunding, order.ChargeRefunded)
	return v.find(ctx, rule{
		counts: allCharges + " WHERE " + taken,
		violations: "SELECT c.order_id, c.amount, c.currency, o.total, o.currency FROM charges c JOIN orders o ON o.id = c.order_id WHERE c." + taken +
			" AND (c.amount <> o.total OR c.currency <> o.currency)",
		describe: func(r []string) Violation {
			return Violation{OrderID: order.ID(r[0]), Detail: fmt.Sprintf("%s was charged for a total of %s", sum(r[1], r[2]), sum(r[3], r[4]))}
		},
	}, each)
}

// unfinished joins the cancellation of the order with the given column, as x, if it is still at work.
func unfinished(column string) string {
	return " LEFT JOIN order_cancellations x ON x.order_id = " + column + " AND x.finished_at IS NULL "
}

// CancelledAndCharged finds CANCELLED orders with a charge that was taken, or may have been, and is not being refunded. Without a line in the
// ledger nothing forbids the charge, and whether it was made is unknown.
func (v *AuditView) CancelledAndCharged(ctx context.Context, each func(Violation)) (int64, error) {
	return v.find(ctx, rule{
		counts: allOrders + " WHERE " + stateIs("state", order.Cancelled),
		violations: "SELECT o.id, c.state, c.amount, c.currency FROM orders o LEFT JOIN charges c ON c.order_id = o.id" + unfinished("o.id") +
			"WHERE " + stateIs("o.state", order.Cancelled) + " AND (c.order_id IS NULL OR " + chargeIs("c.state", order.ChargePending, order.ChargeSucceeded) + ")" +
			" AND (? OR (x.order_id IS NULL AND (c.order_id IS NULL OR c.updated_at < ?) AND o.updated_at < ?))",
		args: []any{v.horizon.Drained, v.horizon.Since, v.horizon.Since},
		describe: func(r []string) Violation {
			if r[1] == "" {
				return Violation{OrderID: order.ID(r[0]), Detail: "it is CANCELLED, but the ledger does not say that it was not charged"}
			}
			return Violation{OrderID: order.ID(r[0]), Detail: "it is CANCELLED, but its charge of " + sum(r[2], r[3]) + " is " + chargeName(r[1])}
		},
	}, each)
}

// ChargesWithoutOrder finds charges that took money, or may have, for orders that have no row.
func (v *AuditView) ChargesWithoutOrder(ctx context.Context, each func(Violation)) (int64, error) {
	return v.find(ctx, rule{
		counts: allCharges,
		violations: "SELECT c.order_id, c.state, c.amount, c.currency FROM charges c LEFT JOIN orders o ON o.id = c.order_id" + unfinished("c.order_id") +
			"WHERE o.id IS NULL AND " + chargeIs("c.state", order.ChargePending, order.ChargeSucceeded) + " AND (? OR (x.order_id IS NULL AND c.updated_at < ?))",
		args: []any{v.horizon.Drained, v.horizon.Since},
		describe: func(r []string) Violation {
			return Violation{OrderID: order.ID(r[0]), Detail: "its charge of " + sum(r[2], r[3]) + " is " + chargeName(r[1]) + ", but the order has no row"}
		},
	}, each)
}

// DecidedAndPending finds PENDING orders with a charge of known outcome: they should have become PAID or CANCELLED by it. An order that
// was placed without a card may be declined and PENDING until it expires, because another card can be tried.
func (v *AuditView) DecidedAndPending(ctx context.Context, each func(Violation)) (int64, error) {
	pending := stateIs("state", order.Pending)
	return v.find(ctx, rule{
		counts: allOrders + " WHERE " + pending,
		violations: "SELECT o.id, c.state FROM orders o JOIN charges c ON c.order_id = o.id WHERE o." + pending +
			" AND NOT " + chargeIs("c.state", order.ChargePending) + " AND (? OR c.updated_at < ?)" +
			" AND NOT (" + chargeIs("c.state", order.ChargeDeclined) + " AND o.expires_at IS NOT NULL AND o.expires_at > ?)",
		args: []any{v.horizon.Drained, v.horizon.Since, v.horizon.Since},
		describe: func(r []string) Violation {
			return Violation{OrderID: order.ID(r[0]), Detail: "it is PENDING, but its charge is " + chargeName(r[1])}
		},
	}, each)
}

// refundSums has, for each order with refunds, what they sum to, how many are not confirmed, and their currencies.
const refundSums = "(SELECT order_id, SUM(amount) AS booked, SUM(CASE WHEN confirmed_at IS NULL THEN 1 ELSE 0 END) AS unconfirmed, " +
	"MIN(currency) AS low, MAX(currency) AS high FROM refunds GROUP BY order_id)"

// RefundsBeyondCharges finds charges with refunds that do not fit their state: those of a REFUNDING or REFUNDED one sum to its amount, and are
// confirmed if it is REFUNDED; those of a SUCCEEDED one are less; any other has none. It also finds refunds without a charge.
func (v *AuditView) RefundsBeyondCharges(ctx context.Context, each func(Violation)) (int64, error) {
	return v.find(ctx, rule{
		counts: allRefunds,
		violations: "SELECT c.order_id, c.state, c.amount, c.currency, r.booked, r.unconfirmed FROM charges c LEFT JOIN " + refundSums + " r ON r.order_id = c.order_id WHERE " +
			"(" + chargeIs(
			"c.state",
			order.ChargeRefunded,
		) + " AND (r.order_id IS NULL OR r.booked <> c.amount OR r.unconfirmed > 0)) OR " +
			"(" + chargeIs(
			"c.state",
			order.ChargeRefunding,
		) + " AND (r.order_id IS NULL OR r.booked <> c.amount OR r.unconfirmed = 0)) OR " +
			"(" + chargeIs(
			"c.state",
			order.ChargeSucceeded,
		) + " AND r.booked >= c.amount) OR " +
			"(" + chargeIs(
			"c.state",
			order.ChargePending,
			order.ChargeDeclined,
			order.ChargeVoided,
		) + " AND r.order_id IS NOT NULL) OR r.low <> c.currency OR r.high <> c.currency " +
			"UNION ALL SELECT r.order_id, NULL, 0, r.low, r.booked, r.unconfirmed FROM " + refundSums + " r LEFT JOIN charges c ON c.order_id = r.order_id WHERE c.order_id IS NULL",
		describe: func(r []string) Violation {
			f := Violation{OrderID: order.ID(r[0])}
			switch {
			case r[1] == "":
				f.Detail = "refunds of " + sum(r[4], r[3]) + " are booked, but nothing was ever charged"
			case r[4] == "":
				f.Detail = "its charge of " + sum(r[2], r[3]) + " is " + chargeName(r[1]) + ", but there is no refund"
			default:
				f.Detail = fmt.Sprintf("its charge of %s is %s; booked refunds sum to %s, %s of them unconfirmed", sum(r[2], r[3]), chargeName(r[1]), sum(r[4], r[3]), r[5])
			}
			return f
		},
	}, each)
}

// UnconfirmedRefunds finds refunds that the provider has not confirmed for too long, or, if nothing may be on its way, at all.
func (v *AuditView) UnconfirmedRefunds(ctx context.Context, each func(Violation)) (int64, error) {
	return v.find(ctx, rule{
		counts:     allRefunds,
		violations: "SELECT order_id, refund_id, amount, currency, attempts FROM refunds WHERE confirmed_at IS NULL AND (? OR created_at < ?)",
		args:       []any{v.horizon.Drained, v.horizon.Since},
		describe: func(r []string) Violation {
			return Violation{
				OrderID: order.ID(r[0]),
				Detail:  fmt.Sprintf("the provider has not confirmed refund %s of %s after %s attempts", r[1], sum(r[2], r[3]), r[4]),
			}
		},
	}, each)
}
