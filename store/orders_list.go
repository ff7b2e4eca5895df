package store

import (
	"context"
	"slices"
	"strings"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/spillway/spillway/ent"
	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/ent/orderitem"
	"github.com/spillway/spillway/ent/predicate"
	"github.com/spillway/spillway/order"
)

// ListOptions select the orders that are listed.
type ListOptions struct {
	// AllCustomers lists the orders of all customers, whichever is named.
	AllCustomers bool
	// Unclaimed leaves out what a customer has claimed: it is not the guest's any more.
	Unclaimed bool
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

// ListByCustomer reads orders of the customer, newest first, with those of the guests that the customer has claimed. Ids sort by the time at which the order was
// placed, so bounds of the time are bounds of the index on customer and id, or of the primary key; within the millisecond the column decides.
func (o *Orders) ListByCustomer(ctx context.Context, customer order.CustomerID, opt ListOptions) ([]order.Order, error) {
	where := conditions(opt)
	if !opt.AllCustomers {
		var err error
		if where, err = o.listed(ctx, customer, where, opt); err != nil {
			return nil, err
		}
	}
	return o.read(ctx, o.db.ent.Order.Query().Where(where...).Order(ent.Desc(entorder.FieldID)).Limit(opt.Limit))
}

// listed are the conditions of the customer's orders. Of one who has claimed guests they are the ids of those that are listed, alone: an order that stopped
// matching meanwhile would make the page short, which ends the list.
func (o *Orders) listed(ctx context.Context, customer order.CustomerID, where []predicate.Order, opt ListOptions) ([]predicate.Order, error) {
	own := append(slices.Clone(where), entorder.CustomerID(string(customer)))
	if customer.Guest() {
		return own, nil
	}
	return fetch(ctx, o.db, func(ctx context.Context) ([]predicate.Order, error) {
		customers, err := withGuests(ctx, o.db.ent, customer)
		if err != nil || len(customers) == 1 {
			return own, err
		}
		ids, err := o.newestOf(ctx, customers, where, opt.Limit)
		return []predicate.Order{entorder.IDIn(texts(ids)...)}, err
	})
}

// conditions are those of the options, but for the customer.
func conditions(opt ListOptions) (where []predicate.Order) {
	if opt.Before != "" {
		where = append(where, entorder.IDLT(string(opt.Before)))
	}
	if !opt.From.IsZero() {
		where = append(where, entorder.IDGTE(string(order.FirstID(opt.From))), entorder.CreatedAtGTE(microUp(opt.From)))
	}
	if !opt.To.IsZero() {
		where = append(where, entorder.IDLT(string(order.FirstID(opt.To.Add(time.Millisecond)))), entorder.CreatedAtLT(microUp(opt.To)))
	}
	if len(opt.States) > 0 {
		where = append(where, entorder.StateIn(states(opt.States)...))
	}
	if opt.Unclaimed {
		where = append(where, unclaimed)
	}
	return append(where, search(opt)...)
}

// search are the conditions by which operators search.
func search(opt ListOptions) (where []predicate.Order) {
	if opt.ID != "" {
		where = append(where, entorder.ID(string(opt.ID)))
	}
	if opt.Email != "" {
		where = append(where, entorder.EmailIn(opt.Email, strings.ToLower(opt.Email)))
	}
	if opt.SKU != "" {
		where = append(where, func(s *entsql.Selector) {
			exists(s, orderitem.Table, orderitem.FieldOrderID, entorder.FieldID, func(t *entsql.SelectTable) *entsql.Predicate {
				return entsql.EQ(t.C(orderitem.FieldSku), string(opt.SKU))
			})
		})
	}
	return where
}

// microUp is the first microsecond, which is what SQL keeps, that is not before the time.
func microUp(t time.Time) time.Time { return micro(t.Add(time.Microsecond - time.Nanosecond)) }
