package store

import (
	"context"
	"strings"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/ent/predicate"
	"github.com/spillway/spillway/order"
)

// newestOf reads the ids of the newest orders of the customers that match.
func (o *Orders) newestOf(ctx context.Context, customers []order.CustomerID, where []predicate.Order, limit int) (ids []order.ID, err error) {
	query, args := newestSQL(o.db.dialect, customers, where, limit)
	err = each(ctx, o.db.ent, "the orders of a customer and of guests", func(s scanner) error {
		var id order.ID
		err := s.Scan(&id)
		ids = append(ids, id)
		return err
	}, query, args...)
	return ids, err
}

// byCustomer has MySQL read the index on customer and id. It would also take the one on customer and idempotency key, and sort all orders of the customer.
const byCustomer = " FORCE INDEX (order_customer_id_id)"

// newestSQL is the query of newestOf. It reads up to limit entries of each customer's part of the index on customer and id, because one condition on all
// customers would have the database sort all of their orders, or read the orders of all customers by their ids.
func newestSQL(name string, customers []order.CustomerID, where []predicate.Order, limit int) (query string, args []any) {
	parts := make([]string, len(customers))
	for i, c := range customers {
		s := entsql.Dialect(name).Select(entorder.FieldID).From(entsql.Table(entorder.Table))
		entorder.CustomerID(string(c))(s)
		for _, p := range where {
			p(s)
		}
		part, values := s.OrderBy(entsql.Desc(s.C(entorder.FieldID))).Limit(limit).Query()
		if name == dialect.MySQL {
			// In FROM, each part would be a temporary table of its own.
			parts[i] = "(" + strings.Replace(part, " FROM `orders`", " FROM `orders`"+byCustomer, 1) + ")"
		} else {
			parts[i] = "SELECT id FROM (" + part + ")"
		}
		args = append(args, values...)
	}
	return strings.Join(parts, " UNION ALL ") + " ORDER BY id DESC LIMIT ?", append(args, limit)
}
