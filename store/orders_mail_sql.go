package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/spillway/spillway/order"
)

// The statements of this file read the orders of many mails by their keys. They are SQL and not ent's builders, which make a node for each order and
// item, and a predicate for each id; and they leave out what no mail shows, above all the sums of refunds, which ByIDs looks up for each order.

const mailOrderColumns = "id, customer_id, state, currency, items_total, shipping_total, total, email, ship_name, ship_street, ship_city, " +
	"ship_region, ship_postal_code, ship_country, tracking_id, created_at, updated_at, trace"

// ForMails reads the orders with their items for mails to their customers; those that do not exist are absent. The orders are without idempotency
// key, fingerprint, expiry, cancel reason, and the sums of refunds.
func (o *Orders) ForMails(ctx context.Context, ids []order.ID) (map[order.ID]order.Order, error) {
	if len(ids) == 0 {
		return map[order.ID]order.Order{}, nil
	}
	return fetch(ctx, o.db, func(ctx context.Context) (map[order.ID]order.Order, error) {
		out, err := o.db.mailOrders(ctx, ids)
		if err != nil {
			return nil, err
		}
		// The items come second: those of an order that is in out are committed.
		lines, err := o.db.linesOf(ctx, ids)
		for id, f := range out {
			f.Lines = lines[id]
			out[id] = f
		}
		return out, err
	})
}

// mailOrders reads the orders without their items.
func (db *DB) mailOrders(ctx context.Context, ids []order.ID) (map[order.ID]order.Order, error) {
	out, same := make(map[order.ID]order.Order, len(ids)), make(interned)
	var id, customer, email, tracking string
	var state int8
	var currency, country, trace sql.RawBytes
	err := each(ctx, db.sql, fmt.Sprintf("%d orders for mails", len(ids)), func(s scanner) error {
		var f order.Order
		a := &f.Address
		err := s.Scan(&id, &customer, &state, &currency, &f.ItemsTotal, &f.ShippingTotal, &f.Total, &email, &a.Name, &a.Street, &a.City,
			&a.Region, &a.PostalCode, &country, &tracking, &f.CreatedAt, &f.UpdatedAt, &trace)
		f.ID, f.CustomerID, f.State, f.Email, f.TrackingID = order.ID(id), order.CustomerID(customer), order.State(state), email, tracking
		f.Currency, a.CountryCode = order.Currency(same.text(currency)), same.text(country)
		f.CreatedAt, f.UpdatedAt, f.Trace = f.CreatedAt.UTC(), f.UpdatedAt.UTC(), string(trace)
		out[f.ID] = f
		return err
	}, "SELECT "+mailOrderColumns+" FROM orders"+db.byPrimaryKey()+" WHERE id IN ("+placeholders(len(ids))+")", anys(ids)...)
	return out, err
}

// linesOf reads the items of the orders, sorted by SKU.
func (db *DB) linesOf(ctx context.Context, ids []order.ID) (map[order.ID][]order.Line, error) {
	out, same := make(map[order.ID][]order.Line, len(ids)), make(interned)
	var id order.ID
	var lines []order.Line // Of the order id. Its rows come together.
	var of, sku, name sql.RawBytes
	err := each(ctx, db.sql, fmt.Sprintf("the items of %d orders", len(ids)), func(s scanner) error {
		var l order.Line
		if err := s.Scan(&of, &sku, &name, &l.Quantity, &l.UnitPrice); err != nil {
			return err
		}
		if string(id) != string(of) {
			id, lines = order.ID(of), nil
		}
		l.SKU, l.Name = order.SKU(same.text(sku)), same.text(name)
		lines = append(lines, l)
		out[id] = lines
		return nil
	}, "SELECT order_id, sku, name, quantity, unit_price FROM order_items WHERE order_id IN ("+placeholders(len(ids))+") ORDER BY order_id, sku",
		anys(ids)...)
	return out, err
}

// interned holds each text of a query once, because many rows have the same: products, currencies, countries.
type interned map[string]string

func (i interned) text(raw []byte) string {
	if text, ok := i[string(raw)]; ok {
		return text
	}
	text := string(raw)
	i[text] = text
	return text
}
