package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
)

// Get reads an order with its items; order.ErrNotFound when there is none.
func (o *Orders) Get(ctx context.Context, id order.ID) (order.Order, error) {
	return o.one(ctx, "id = ?", id)
}

// ByIDs reads the orders with their items; those that do not exist are absent.
func (o *Orders) ByIDs(ctx context.Context, ids []order.ID) (map[order.ID]order.Order, error) {
	if len(ids) == 0 {
		return map[order.ID]order.Order{}, nil
	}
	found, err := o.query(ctx, "id IN ("+marks(len(ids))+")", anys(ids)...)
	out := make(map[order.ID]order.Order, len(found))
	for _, f := range found {
		out[f.ID] = f
	}
	return out, err
}

// FindByKey reads the order that the customer's idempotency key made; order.ErrNotFound when there is none.
func (o *Orders) FindByKey(ctx context.Context, customer order.CustomerID, key string) (order.Order, error) {
	return o.one(ctx, "customer_id = ? AND idempotency_key = ?", customer, key)
}

func (o *Orders) one(ctx context.Context, where string, args ...any) (order.Order, error) {
	found, err := o.query(ctx, where, args...)
	if err != nil {
		return order.Order{}, err
	}
	if len(found) == 0 {
		return order.Order{}, order.ErrNotFound
	}
	return found[0], nil
}

// ListOptions select the orders that are listed.
type ListOptions struct {
	// AllCustomers lists the orders of all customers, whichever is named.
	AllCustomers bool
	// Before is the order after which the list goes on, newest first; empty begins with the newest.
	Before order.ID
	// Limit is how many orders are read at most.
	Limit int
	// States, if any, are those of the orders.
	States []order.State
	// From and To bound when the order was placed, From included; zero is no bound.
	From, To time.Time
}

// ListByCustomer reads orders of the customer, newest first. Ids sort by the time at which the order was placed, so bounds of the time
// are bounds of the index on customer and id, or of the primary key; within the millisecond the column decides.
func (o *Orders) ListByCustomer(ctx context.Context, customer order.CustomerID, opt ListOptions) ([]order.Order, error) {
	where, args := "1 = 1", []any(nil)
	and := func(condition string, more ...any) {
		where += " AND " + condition
		args = append(args, more...)
	}
	if !opt.AllCustomers {
		and("customer_id = ?", customer)
	}
	if opt.Before != "" {
		and("id < ?", opt.Before)
	}
	if !opt.From.IsZero() {
		and("id >= ? AND created_at >= ?", order.FirstID(opt.From), microUp(opt.From))
	}
	if !opt.To.IsZero() {
		and("id < ? AND created_at < ?", order.FirstID(opt.To.Add(time.Millisecond)), microUp(opt.To))
	}
	if len(opt.States) > 0 {
		and("state IN ("+marks(len(opt.States))+")", anys(opt.States)...)
	}
	return o.query(ctx, where+" ORDER BY id DESC LIMIT ?", append(args, opt.Limit)...)
}

// microUp is the first microsecond, which is what SQL keeps, that is not before the time.
func microUp(t time.Time) time.Time { return micro(t.Add(time.Microsecond - time.Nanosecond)) }

// States reads the states of the orders; those that do not exist are absent.
func (o *Orders) States(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error) {
	if len(ids) == 0 {
		return map[order.ID]order.State{}, nil
	}
	return fetch(ctx, o.db, func(ctx context.Context) (map[order.ID]order.State, error) {
		out := make(map[order.ID]order.State, len(ids))
		err := each(ctx, o.db.ent, fmt.Sprintf("the states of %d orders", len(ids)), func(r scanner) error {
			var id order.ID
			var state order.State
			err := r.Scan(&id, &state)
			out[id] = state
			return err
		}, "SELECT id, state FROM orders WHERE id IN ("+marks(len(ids))+")", anys(ids)...)
		return out, err
	})
}

// orderRefunds are the sums of an order's confirmed and unconfirmed refunds, as further columns.
const orderRefunds = ", (SELECT COALESCE(SUM(r.amount), 0) FROM refunds r WHERE r.order_id = orders.id AND r.confirmed_at IS NOT NULL)" +
	", (SELECT COALESCE(SUM(r.amount), 0) FROM refunds r WHERE r.order_id = orders.id AND r.confirmed_at IS NULL)"

// query reads orders and, in a second query, the items of all of them.
func (o *Orders) query(ctx context.Context, where string, args ...any) ([]order.Order, error) {
	return fetch(ctx, o.db, func(ctx context.Context) ([]order.Order, error) {
		out, err := collect(ctx, o.db.ent, "orders", scanOrder, "SELECT "+orderColumns+orderRefunds+" FROM orders WHERE "+where, args...)
		if err != nil {
			return nil, err
		}
		return out, o.addItems(ctx, out)
	})
}

func scanOrder(rows scanner) (order.Order, error) {
	var o order.Order
	var key sql.NullString
	var expires sql.NullTime
	a := &o.Address
	fields := append([]any{&o.ID, &o.CustomerID, &o.State, &o.Currency, &o.ItemsTotal, &o.ShippingTotal, &o.Total, &o.Email,
		&a.Name, &a.Street, &a.City, &a.Region, &a.PostalCode, &a.CountryCode, &o.TrackingID, &key, &o.Fingerprint}, reasonFields(&o.CancelReason)...)
	err := rows.Scan(append(fields, &o.CreatedAt, &o.UpdatedAt, &expires, &o.Refunded, &o.RefundPending)...)
	if err != nil {
		return order.Order{}, fmt.Errorf("read an order: %w", err)
	}
	o.CancelReason = withCode(o.CancelReason)
	o.IdempotencyKey, o.CreatedAt, o.UpdatedAt = key.String, o.CreatedAt.UTC(), o.UpdatedAt.UTC()
	if expires.Valid {
		o.ExpiresAt = expires.Time.UTC()
	}
	return o, nil
}

func (o *Orders) addItems(ctx context.Context, orders []order.Order) error {
	if len(orders) == 0 {
		return nil
	}
	at := make(map[order.ID]int, len(orders))
	args := make([]any, len(orders))
	for i := range orders {
		at[orders[i].ID], args[i] = i, orders[i].ID
	}
	return each(ctx, o.db.ent, "items", func(r scanner) error {
		var id order.ID
		var l order.Line
		if err := r.Scan(&id, &l.SKU, &l.Name, &l.Quantity, &l.UnitPrice); err != nil {
			return err
		}
		orders[at[id]].Lines = append(orders[at[id]].Lines, l)
		return nil
	}, "SELECT order_id, sku, name, quantity, unit_price FROM order_items WHERE order_id IN ("+marks(len(orders))+") ORDER BY order_id, sku", args...)
}

// UnitsTaken is how many units of the SKU are in orders that are not cancelled: held while pending, sold from then on.
func (o *Orders) UnitsTaken(ctx context.Context, sku order.SKU) (int64, error) {
	var n sql.NullInt64
	err := o.db.call(ctx, func(ctx context.Context) error {
		return queryRow(ctx, o.db.ent, "SELECT SUM(i.quantity) FROM order_items i JOIN orders o ON o.id = i.order_id WHERE i.sku = ? AND o.state <> ?",
			sku, order.Cancelled).Scan(&n)
	})
	return n.Int64, err
}
