package store

import (
	"context"
	"strings"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/spillway/spillway/ent"
	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/ent/orderitem"
	"github.com/spillway/spillway/order"
)

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
	// ID, if any, is that of the order.
	ID order.ID
	// Email, if any, is the address of the orders as their customer wrote it, or in lower case.
	Email string
	// SKU, if any, is contained in the orders.
	SKU order.SKU
}

// ListByCustomer reads orders of the customer, newest first. Ids sort by the time at which the order was placed, so bounds of the time
// are bounds of the index on customer and id, or of the primary key; within the millisecond the column decides.
func (o *Orders) ListByCustomer(ctx context.Context, customer order.CustomerID, opt ListOptions) ([]order.Order, error) {
	q := o.db.ent.Order.Query()
	if !opt.AllCustomers {
		q.Where(entorder.CustomerID(string(customer)))
	}
	if opt.Before != "" {
		q.Where(entorder.IDLT(string(opt.Before)))
	}
	if !opt.From.IsZero() {
		q.Where(entorder.IDGTE(string(order.FirstID(opt.From))), entorder.CreatedAtGTE(microUp(opt.From)))
	}
	if !opt.To.IsZero() {
		q.Where(entorder.IDLT(string(order.FirstID(opt.To.Add(time.Millisecond)))), entorder.CreatedAtLT(microUp(opt.To)))
	}
	if len(opt.States) > 0 {
		q.Where(entorder.StateIn(states(opt.States)...))
	}
	search(q, opt)
	return o.read(ctx, q.Order(ent.Desc(entorder.FieldID)).Limit(opt.Limit))
}

// search adds the conditions by which operators search.
func search(q *ent.OrderQuery, opt ListOptions) {
	if opt.ID != "" {
		q.Where(entorder.ID(string(opt.ID)))
	}
	if opt.Email != "" {
		q.Where(entorder.EmailIn(opt.Email, strings.ToLower(opt.Email)))
	}
	if opt.SKU != "" {
		q.Where(func(s *entsql.Selector) {
			exists(s, orderitem.Table, orderitem.FieldOrderID, entorder.FieldID, func(t *entsql.SelectTable) *entsql.Predicate {
				return entsql.EQ(t.C(orderitem.FieldSku), string(opt.SKU))
			})
		})
	}
}

// microUp is the first microsecond, which is what SQL keeps, that is not before the time.
func microUp(t time.Time) time.Time { return micro(t.Add(time.Microsecond - time.Nanosecond)) }
