package store

import (
	"context"

	"github.com/spillway/spillway/order"
)

// OverdueStates finds orders that have been in a state for longer than it may last: PENDING ones that have expired, or are to be paid at
// once, since before Since; and PAID ones that are not shipped since before PaidSince. SHIP_FAILED has no maximum: the carrier may be down
// for as long as it likes, and the ship rescuer tries again.
func (v *AuditView) OverdueStates(ctx context.Context, each func(Violation)) (int64, error) {
	pending, paid := stateIs("state", order.Pending), stateIs("state", order.Paid)
	return v.find(ctx, rule{
		counts: allOrders + " WHERE " + stateIs("state", order.Pending, order.Paid),
		violations: "SELECT id, state, updated_at, expires_at FROM orders WHERE (" + pending + " AND (expires_at IS NULL OR expires_at < ?) AND updated_at < ?) " +
			"OR (" + paid + " AND updated_at < ?)",
		args: []any{v.horizon.Since, v.horizon.Since, v.horizon.PaidSince},
		describe: func(r []string) Violation {
			f := Violation{OrderID: order.ID(r[0]), Detail: "it is " + stateName(r[1]) + " since " + r[2]}
			if r[3] != "" {
				f.Detail += " and could be paid until " + r[3]
			}
			return f
		},
	}, each)
}

// confirmedByMail are the states in which an order has a confirmation.
var confirmedByMail = []order.State{order.Paid, order.Shipped, order.ShipFailed}

// MissingMails finds paid orders without a confirmation, and SHIPPED ones without the mail about that: it was neither sent, nor is due,
// nor is a dead letter. Orders that changed last before MailSince are left out: the repair worker does not scan them any more.
func (v *AuditView) MissingMails(ctx context.Context, each func(Violation)) (int64, error) {
	confirmation, cargs := v.withoutMail(order.MailConfirmation, confirmedByMail...)
	shipped, sargs := v.withoutMail(order.MailShipped, order.Shipped)
	return v.find(ctx, rule{
		counts:     allOrders + " WHERE " + stateIs("state", confirmedByMail...),
		violations: confirmation + " UNION ALL " + shipped,
		args:       append(cargs, sargs...),
		describe: func(r []string) Violation {
			return Violation{
				OrderID: order.ID(r[0]),
				Detail:  "it is " + stateName(r[1]) + " since " + r[2] + ", but its mail of kind " + r[3] + " was not sent and is not due",
			}
		},
	}, each)
}

// withoutMail queries orders in the states without any trace of the mail.
func (v *AuditView) withoutMail(kind order.MailKind, states ...order.State) (query string, args []any) {
	return "SELECT o.id, o.state, o.updated_at, '" + string(kind) + "' FROM orders o LEFT JOIN sent_mails m ON m.order_id = o.id AND m.kind = ? WHERE " +
			stateIs("o.state", states...) + " AND m.id IS NULL AND (? OR o.updated_at < ?) AND o.updated_at >= ? " +
			"AND NOT EXISTS (SELECT 1 FROM due_mails d WHERE d.order_id = o.id AND d.kind = ?) " +
			"AND NOT EXISTS (SELECT 1 FROM failed_orders f WHERE f.dedup_key = CONCAT(?, o.id, ?))",
		[]any{kind, v.horizon.Drained, v.horizon.Since, v.horizon.MailSince, kind, mailKeyPrefix, mailKeySuffix(kind)}
}

// RefundsWithoutMail finds confirmed refunds that an operator requested, without the mail about that: it was neither sent, nor is due, nor is
// a dead letter. Those that were confirmed before MailSince are left out, as orders are.
func (v *AuditView) RefundsWithoutMail(ctx context.Context, each func(Violation)) (int64, error) {
	const byOperator = " FROM refunds r WHERE r.request_key IS NOT NULL AND r.confirmed_at IS NOT NULL"
	return v.find(ctx, rule{
		counts: "SELECT COUNT(*)" + byOperator,
		violations: "SELECT r.order_id, r.refund_id, r.confirmed_at" + byOperator + " AND (? OR r.confirmed_at < ?) AND r.confirmed_at >= ? " +
			"AND NOT EXISTS (SELECT 1 FROM sent_mails m WHERE m.order_id = r.order_id AND m.kind = CONCAT(?, r.refund_id)) " +
			"AND NOT EXISTS (SELECT 1 FROM due_mails d WHERE d.order_id = r.order_id AND d.kind = CONCAT(?, r.refund_id)) " +
			"AND NOT EXISTS (SELECT 1 FROM failed_orders f WHERE f.dedup_key = CONCAT(?, r.order_id, ?, r.refund_id))",
		args: []any{
			v.horizon.Drained, v.horizon.Since, v.horizon.MailSince, order.MailRefund, order.MailRefund, mailKeyPrefix, mailKeySuffix(order.MailRefund),
		},
		describe: func(r []string) Violation {
			return Violation{
				OrderID: order.ID(r[0]),
				Detail:  "its refund " + r[1] + " is confirmed since " + r[2] + ", but the mail about it was not sent and is not due",
			}
		},
	}, each)
}
