package store

import (
	"context"
	"time"

	"github.com/spillway/spillway/order"
)

// The statements of this file read what the orders of a batch are checked against. They are SQL and not ent's builders, because they look tuples up, and
// sum over joins.

// Units is the stock of a product.
type Units struct {
	// Stock is all of it, Reserve the part that Redis does not get.
	Stock, Reserve int64
}

// Units reads the stock of the products, and keeps others from changing it until the commit. Unknown SKUs are absent.
func (t *SQLEpochTx) Units(ctx context.Context, skus []order.SKU) (map[order.SKU]Units, error) {
	out := make(map[order.SKU]Units, len(skus))
	if len(skus) == 0 {
		return out, nil
	}
	err := each(ctx, t.client, "the stock", func(s scanner) error {
		var sku order.SKU
		var u Units
		err := s.Scan(&sku, &u.Stock, &u.Reserve)
		out[sku] = u
		return err
	}, "SELECT sku, stock, reserve FROM products"+t.db.byPrimaryKey()+" WHERE sku IN ("+placeholders(len(skus))+") ORDER BY sku"+t.db.forUpdate(), anys(skus)...)
	return out, err
}

// SQLUnits reads the stock of the products. Unknown SKUs are absent.
func (s *Stock) SQLUnits(ctx context.Context, skus []order.SKU) (map[order.SKU]Units, error) {
	return fetch(ctx, s.db, func(ctx context.Context) (map[order.SKU]Units, error) { return unitsOf(ctx, s.db.ent, skus) })
}

// KeyOwners reads the orders that have the keys. Keys that are not used are absent.
func (t *SQLEpochTx) KeyOwners(ctx context.Context, keys []Key) (map[Key]KeyOwner, error) {
	return t.db.keyOwners(ctx, t.client, keys)
}

// SQLOrder is what SQL has of an order that is to be settled or released.
type SQLOrder struct {
	State  order.State
	Reason order.CancelReason
	// Returned reports that its units are back in stock.
	Returned bool
	// Units are those that it took, positive.
	Units []order.Delta
}

// Orders reads the orders and keeps others from changing them until the commit. Those without a row are absent.
func (t *SQLEpochTx) Orders(ctx context.Context, ids []order.ID) (map[order.ID]SQLOrder, error) {
	out := make(map[order.ID]SQLOrder, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	rows, err := t.db.lockRows(ctx, t.client, ids)
	if err != nil {
		return nil, err
	}
	returned, err := returnedAmong(ctx, t.client, ids)
	if err != nil {
		return nil, err
	}
	for id, r := range rows {
		_, back := returned[id]
		out[id] = SQLOrder{State: r.state, Reason: r.reason, Returned: back}
	}
	return out, each(ctx, t.client, "the items of orders", func(s scanner) error {
		var id order.ID
		var d order.Delta
		err := s.Scan(&id, &d.SKU, &d.Units)
		o := out[id]
		o.Units = append(o.Units, d)
		out[id] = o
		return err
	}, "SELECT order_id, sku, quantity FROM order_items WHERE order_id IN ("+placeholders(len(ids))+") ORDER BY order_id, sku", anys(ids)...)
}

// Placed counts the orders of the customers since the time. Customers without one are absent.
func (t *SQLEpochTx) Placed(ctx context.Context, customers []order.CustomerID, since time.Time) (map[order.CustomerID]int, error) {
	out := make(map[order.CustomerID]int)
	if len(customers) == 0 {
		return out, nil
	}
	err := each(ctx, t.client, "the orders of customers", func(s scanner) error {
		var c order.CustomerID
		var n int
		err := s.Scan(&c, &n)
		out[c] = n
		return err
	}, "SELECT customer_id, COUNT(*) FROM orders WHERE customer_id IN ("+placeholders(len(customers))+") AND id >= ? GROUP BY customer_id",
		append(anys(customers), order.FirstID(since))...)
	return out, err
}

// CustomerSKU is a product and a customer.
type CustomerSKU struct {
	Customer order.CustomerID
	SKU      order.SKU
}

// Bought sums the units that the customers ordered since the time, of orders that are not cancelled.
func (t *SQLEpochTx) Bought(ctx context.Context, customers []order.CustomerID, since time.Time) (map[CustomerSKU]int, error) {
	out := make(map[CustomerSKU]int)
	if len(customers) == 0 {
		return out, nil
	}
	err := each(ctx, t.client, "the units of customers", func(s scanner) error {
		var c CustomerSKU
		var n int
		err := s.Scan(&c.Customer, &c.SKU, &n)
		out[c] = n
		return err
	}, "SELECT o.customer_id, i.sku, SUM(i.quantity) FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.customer_id IN ("+
		placeholders(len(customers))+") AND o.id >= ? AND o.state <> ? GROUP BY o.customer_id, i.sku",
		append(anys(customers), order.FirstID(since), order.Cancelled)...)
	return out, err
}

// Claims reads the claims of those of the customers who are guests, and those by the others: guest to customer.
func (t *SQLEpochTx) Claims(ctx context.Context, customers []order.CustomerID) (map[order.CustomerID]order.CustomerID, error) {
	out := make(map[order.CustomerID]order.CustomerID)
	by := map[string][]order.CustomerID{}
	for _, c := range customers {
		column := "customer_id"
		if c.Guest() {
			column = "guest_id"
		}
		by[column] = append(by[column], c)
	}
	for column, ids := range by {
		err := each(ctx, t.client, "the claims of guests", func(s scanner) error {
			var guest, customer order.CustomerID
			err := s.Scan(&guest, &customer)
			out[guest] = customer
			return err
		}, "SELECT guest_id, customer_id FROM guest_claims WHERE "+column+" IN ("+placeholders(len(ids))+")", anys(ids)...)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Unpaid is what the PENDING orders of all customers hold.
type Unpaid struct {
	Total     int
	Customers map[order.CustomerID]int
	Units     map[order.SKU]int64
}

// Unpaid sums the PENDING orders that were placed without a card, or before the time: the others are being charged.
func (t *SQLEpochTx) Unpaid(ctx context.Context, before time.Time) (Unpaid, error) {
	args := []any{order.Pending, order.FirstID(before)}
	out := Unpaid{Customers: make(map[order.CustomerID]int), Units: make(map[order.SKU]int64)}
	err := each(ctx, t.client, "unpaid orders", func(s scanner) error {
		var c order.CustomerID
		var n int
		err := s.Scan(&c, &n)
		out.Customers[c] = n
		out.Total += n
		return err
	}, "SELECT customer_id, COUNT(*) FROM orders WHERE state = ? AND (expires_at IS NOT NULL OR id < ?) GROUP BY customer_id", args...)
	if err != nil {
		return out, err
	}
	return out, each(ctx, t.client, "the units of unpaid orders", func(s scanner) error {
		var sku order.SKU
		var n int64
		err := s.Scan(&sku, &n)
		out.Units[sku] = n
		return err
	}, "SELECT i.sku, SUM(i.quantity) FROM orders o JOIN order_items i ON i.order_id = o.id WHERE o.state = ? "+
		"AND (o.expires_at IS NOT NULL OR o.id < ?) GROUP BY i.sku", args...)
}

// Adjustments reads those of the adjustments that were made.
func (t *SQLEpochTx) Adjustments(ctx context.Context, ids []string) (map[string]order.Delta, error) {
	return adjustmentsAmong(ctx, t.client, ids)
}
