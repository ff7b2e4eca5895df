package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/tracing"
)

// The statements of this file read and write many rows of orders at once, in the drain's hot path. They are SQL and not ent's builders because a
// CASE per column moves a whole batch in one UPDATE, keys are looked up as tuples of customer and key, and ent would build a mutation for
// every order and item, and a predicate for every id: lockRows and cancelledAmong as builders took 12 to 27 % more CPU of the process per order.

// byPrimaryKey makes MySQL find rows by their ids, whatever it estimates: by another index two transactions could lock the same rows in different
// orders. It also saves MySQL the estimate, which reads the index for each id.
func (db *DB) byPrimaryKey() string {
	if db.isMySQL() {
		return " FORCE INDEX (PRIMARY)"
	}
	return ""
}

// forUpdate keeps the rows that a query reads from others until the commit. SQLite has one writer, which the transaction is.
func (db *DB) forUpdate() string {
	if db.isMySQL() {
		return " FOR UPDATE"
	}
	return ""
}

// whereIn is the condition for the orders in one of the states, with its arguments.
func whereIn(ids []order.ID, states []order.State) (condition string, args []any) {
	return " WHERE id IN (" + placeholders(len(ids)) + ") AND state IN (" + placeholders(len(states)) + ")", append(anys(ids), anys(states)...)
}

// lockRows reads the states of those of the orders that exist, and keeps others from changing them meanwhile.
func (db *DB) lockRows(ctx context.Context, tx *ent.Client, ids []order.ID) (map[order.ID]row, error) {
	out := make(map[order.ID]row, len(ids))
	err := each(ctx, tx, fmt.Sprintf("%d orders", len(ids)), func(s scanner) error {
		var id order.ID
		var state order.State
		var code, of, decline, text string
		err := s.Scan(&id, &state, &code, &of, &decline, &text)
		out[id] = row{state: state, reason: toReason(code, of, decline, text)}
		return err
	}, "SELECT id, state, "+reasonColumns+", cancel_reason FROM orders"+db.byPrimaryKey()+" WHERE id IN ("+placeholders(len(ids))+") ORDER BY id"+
		db.forUpdate(), anys(ids)...)
	return out, err
}

// states reads the states of those of the orders that exist.
func (db *DB) states(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error) {
	out := make(map[order.ID]order.State, len(ids))
	err := each(ctx, db.sql, fmt.Sprintf("the states of %d orders", len(ids)), func(s scanner) error {
		var id order.ID
		var state order.State
		err := s.Scan(&id, &state)
		out[id] = state
		return err
	}, "SELECT id, state FROM orders"+db.byPrimaryKey()+" WHERE id IN ("+placeholders(len(ids))+")", anys(ids)...)
	return out, err
}

// cancelledAmong returns the reasons of those of the orders that have a cancellation.
func cancelledAmong(ctx context.Context, tx querier, ids []order.ID) (map[order.ID]order.CancelReason, error) {
	out := make(map[order.ID]order.CancelReason)
	if len(ids) == 0 {
		return out, nil
	}
	err := each(ctx, tx, "cancellations", func(s scanner) error {
		var id order.ID
		var code, of, decline, text string
		err := s.Scan(&id, &code, &of, &decline, &text)
		out[id] = toReason(code, of, decline, text)
		return err
	}, "SELECT order_id, "+reasonColumns+", reason FROM order_cancellations WHERE order_id IN ("+placeholders(len(ids))+")", anys(ids)...)
	return out, err
}

// move brings the orders into the state in one statement, guarded by the state's predecessors.
func (db *DB) move(ctx context.Context, tx *ent.Client, to order.State, changes []order.Event) error {
	if len(changes) == 0 {
		return nil
	}
	set := "state = ?, updated_at = " + caseID(len(changes))
	args := []any{to}
	for _, c := range changes {
		args = append(args, c.Order.ID, micro(c.At))
	}
	if to == order.Cancelled { // An order in another state has no reason.
		for i, column := range []string{"cancel_code", "duplicate_of", "decline_code", "cancel_reason"} {
			set += ", " + column + " = " + caseID(len(changes))
			for _, c := range changes {
				args = append(args, c.Order.ID, reasonValues(c.Reason)[i])
			}
		}
	}
	where, chosen := whereIn(ids(changes), to.Predecessors())
	_, err := tx.ExecContext(ctx, "UPDATE orders"+db.byPrimaryKey()+" SET "+set+where, append(args, chosen...)...)
	if err != nil {
		return fmt.Errorf("move %d orders to %s: %w", len(changes), to, err)
	}
	return nil
}

// caseID chooses a value by the id of the row, for n rows.
func caseID(n int) string { return "CASE id" + strings.Repeat(" WHEN ? THEN ?", n) + " END" }

const orderColumns = "id, customer_id, state, currency, items_total, shipping_total, total, email, ship_name, ship_street, ship_city, " +
	"ship_region, ship_postal_code, ship_country, tracking_id, idempotency_key, fingerprint, " + reasonColumns + ", cancel_reason, created_at, updated_at, expires_at, trace"

// orderMarks are the placeholders of one order, in the order of orderColumns.
var orderMarks = "(" + placeholders(strings.Count(orderColumns, ",")+1) + ")"

// maxItemRows bounds the rows of one statement that inserts items, so that it stays far below max_allowed_packet and
// SQLite's 32,766 placeholders.
const maxItemRows = 1000

// appendOrder adds the values of one order. One with the key of another order is CANCELLED, without the key.
func appendOrder(args []any, c order.Event, duplicateOf order.ID) []any {
	o, a := c.Order, c.Order.Address
	state, reason := c.To, c.Reason
	key := any(o.IdempotencyKey)
	if duplicateOf != "" {
		state, reason, key = order.Cancelled, order.CancelledAsDuplicate(duplicateOf), nil
	}
	args = append(args, o.ID, o.CustomerID, state, o.Currency, o.ItemsTotal, o.ShippingTotal, o.Total, o.Email,
		a.Name, a.Street, a.City, a.Region, a.PostalCode, a.CountryCode, o.TrackingID, key, o.Fingerprint)
	return append(append(args, reasonValues(reason)...), micro(o.CreatedAt), micro(c.At), nullTime(o.ExpiresAt), nullTrace(c.Trace))
}

// nullTrace is null for an order without a trace, and for text that is none.
func nullTrace(text string) any {
	if text = tracing.Clean(text); text == "" {
		return nil
	}
	return text
}

// nullTime is null for the zero time.
func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return micro(t)
}

func (db *DB) insertItems(ctx context.Context, tx *ent.Client, changes []order.Event) error {
	var args []any
	n := 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO order_items (order_id, sku, name, quantity, unit_price) VALUES "+tuples(n, "(?,?,?,?,?)"), args...)
		args, n = args[:0], 0
		if err != nil {
			return fmt.Errorf("insert items: %w", err)
		}
		return nil
	}
	for _, c := range changes {
		for _, l := range c.Order.Lines {
			args = append(args, c.Order.ID, l.SKU, l.Name, l.Quantity, l.UnitPrice)
			if n++; n == maxItemRows {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}
