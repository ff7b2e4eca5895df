package store

import (
	"context"
	"slices"

	"github.com/spillway/spillway/order"
)

// maxBoughtLines bounds the lines of orders that Bought reads, at about 100 bytes each. A limit of units for each customer is at most order.MaxQuantity,
// and 10 by default.
const maxBoughtLines = 1000

// Bought reads what the customer, and the guests that the customer has claimed, have ordered: orders that are not CANCELLED, with from <= id < before,
// oldest first. Of more than maxBoughtLines it reads the newest.
func (s *Stock) Bought(ctx context.Context, customer order.CustomerID, from, before order.ID) ([]order.Bought, error) {
	return s.bought(ctx, customer, from, before, maxBoughtLines)
}

func (s *Stock) bought(ctx context.Context, customer order.CustomerID, from, before order.ID, most int) ([]order.Bought, error) {
	return fetch(ctx, s.db, func(ctx context.Context) ([]order.Bought, error) {
		customers, err := withGuests(ctx, s.db.ent, customer)
		if err != nil {
			return nil, err
		}
		var out []order.Bought
		lines := 0
		err = each(ctx, s.db.ent, "what a customer ordered", func(row scanner) error {
			var id order.ID
			var d order.Delta
			err := row.Scan(&id, &d.SKU, &d.Units)
			if len(out) == 0 || out[len(out)-1].ID != id {
				out = append(out, order.Bought{ID: id})
			}
			last := &out[len(out)-1]
			last.Units = append(last.Units, d)
			lines++
			return err
		}, s.db.boughtSQL(len(customers)), append(anys(customers), from, before, order.Cancelled, most)...)
		if lines == most {
			out = out[:len(out)-1] // Its other lines may be beyond the bound.
		}
		slices.Reverse(out)
		return out, err
	})
}

// boughtSQL is the query of bought for n customers. It has MySQL read their parts of the index on customer and id: because of its end it would also read
// the orders of all customers by their ids.
func (db *DB) boughtSQL(n int) string {
	from := "orders o JOIN"
	if db.isMySQL() {
		from = "orders o" + byCustomer + " STRAIGHT_JOIN"
	}
	return "SELECT o.id, i.sku, i.quantity FROM " + from + " order_items i ON i.order_id = o.id WHERE o.customer_id IN (" + placeholders(n) +
		") AND o.id >= ? AND o.id < ? AND o.state <> ? ORDER BY o.id DESC, i.sku LIMIT ?"
}
