package store

import (
	"context"
	"database/sql"
	"fmt"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/spillway/spillway/ent"
	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/ent/orderitem"
	"github.com/spillway/spillway/ent/predicate"
	"github.com/spillway/spillway/ent/refund"
	"github.com/spillway/spillway/order"
)

// Get reads an order with its items; order.ErrNotFound when there is none.
func (o *Orders) Get(ctx context.Context, id order.ID) (order.Order, error) {
	return o.one(ctx, entorder.ID(string(id)))
}

// ByIDs reads the orders with their items; those that do not exist are absent.
func (o *Orders) ByIDs(ctx context.Context, ids []order.ID) (map[order.ID]order.Order, error) {
	if len(ids) == 0 {
		return map[order.ID]order.Order{}, nil
	}
	found, err := o.read(ctx, o.db.ent.Order.Query().Where(entorder.IDIn(texts(ids)...)))
	out := make(map[order.ID]order.Order, len(found))
	for _, f := range found {
		out[f.ID] = f
	}
	return out, err
}

// FindByKey reads the order that the customer's idempotency key made; order.ErrNotFound when there is none.
func (o *Orders) FindByKey(ctx context.Context, customer order.CustomerID, key string) (order.Order, error) {
	return o.one(ctx, entorder.CustomerID(string(customer)), entorder.IdempotencyKey(key))
}

func (o *Orders) one(ctx context.Context, where ...predicate.Order) (order.Order, error) {
	found, err := o.read(ctx, o.db.ent.Order.Query().Where(where...))
	if err != nil {
		return order.Order{}, err
	}
	if len(found) == 0 {
		return order.Order{}, order.ErrNotFound
	}
	return found[0], nil
}

// States reads the states of the orders; those that do not exist are absent.
func (o *Orders) States(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error) {
	if len(ids) == 0 {
		return map[order.ID]order.State{}, nil
	}
	return fetch(ctx, o.db, func(ctx context.Context) (map[order.ID]order.State, error) {
		return o.db.states(ctx, ids)
	})
}

// The further columns of an order: the sums of its confirmed and unconfirmed refunds.
const (
	columnRefunded      = "refunded"
	columnRefundPending = "refund_pending"
)

// withRefunds adds the further columns.
func withRefunds(s *entsql.Selector) {
	r := entsql.Table(refund.Table)
	sum := func(confirmed *entsql.Predicate) entsql.Querier {
		return entsql.Dialect(s.Dialect()).Select("COALESCE(SUM(" + r.C(refund.FieldAmount) + "), 0)").From(r).
			Where(entsql.And(entsql.ColumnsEQ(r.C(refund.FieldOrderID), s.C(entorder.FieldID)), confirmed))
	}
	s.AppendSelectExprAs(sum(entsql.NotNull(r.C(refund.FieldConfirmedAt))), columnRefunded)
	s.AppendSelectExprAs(sum(entsql.IsNull(r.C(refund.FieldConfirmedAt))), columnRefundPending)
}

// read reads orders and, in a second query, the items of all of them.
func (o *Orders) read(ctx context.Context, q *ent.OrderQuery) ([]order.Order, error) {
	return fetch(ctx, o.db, func(ctx context.Context) ([]order.Order, error) {
		found, err := q.Modify(withRefunds, withClaim).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read orders: %w", err)
		}
		out := make([]order.Order, len(found))
		for i, f := range found {
			if out[i], err = toOrder(f); err != nil {
				return nil, fmt.Errorf("read order %s: %w", f.ID, err)
			}
		}
		return out, o.addItems(ctx, out)
	})
}

// toOrder makes an order of a row with the further columns.
func toOrder(f *ent.Order) (order.Order, error) {
	out := order.Order{
		ID: order.ID(f.ID), CustomerID: order.CustomerID(f.CustomerID), State: order.State(f.State), Currency: order.Currency(f.Currency),
		ItemsTotal: order.Cents(f.ItemsTotal), ShippingTotal: order.Cents(f.ShippingTotal), Total: order.Cents(f.Total), Email: f.Email,
		Address: order.Address{
			Name: f.ShipName, Street: f.ShipStreet, City: f.ShipCity, Region: f.ShipRegion, PostalCode: f.ShipPostalCode, CountryCode: f.ShipCountry,
		},
		TrackingID: f.TrackingID, Fingerprint: f.Fingerprint, CancelReason: toReason(f.CancelCode, f.DuplicateOf, f.DeclineCode, f.CancelReason),
		CreatedAt: f.CreatedAt.UTC(), UpdatedAt: f.UpdatedAt.UTC(),
	}
	if f.IdempotencyKey != nil {
		out.IdempotencyKey = *f.IdempotencyKey
	}
	if f.Trace != nil {
		out.Trace = *f.Trace
	}
	if f.ExpiresAt != nil {
		out.ExpiresAt = f.ExpiresAt.UTC()
	}
	var err error
	if out.Refunded, err = cents(f, columnRefunded); err != nil {
		return out, err
	}
	if out.RefundPending, err = cents(f, columnRefundPending); err != nil {
		return out, err
	}
	out.ClaimedBy, err = claimOf(f)
	return out, err
}

// cents reads a further column. MySQL sends a sum as text.
func cents(f *ent.Order, column string) (order.Cents, error) {
	value, err := f.Value(column)
	if err != nil {
		return 0, err
	}
	var n sql.NullInt64
	err = n.Scan(value)
	return order.Cents(n.Int64), err
}

// claimOf reads the further column of the claim.
func claimOf(f *ent.Order) (order.CustomerID, error) {
	value, err := f.Value(columnClaimedBy)
	if err != nil {
		return "", err
	}
	var c sql.NullString
	err = c.Scan(value)
	return order.CustomerID(c.String), err
}

func (o *Orders) addItems(ctx context.Context, orders []order.Order) error {
	if len(orders) == 0 {
		return nil
	}
	at, ids := make(map[string]int, len(orders)), make([]string, len(orders))
	for i := range orders {
		ids[i] = string(orders[i].ID)
		at[ids[i]] = i
	}
	items, err := o.db.ent.OrderItem.Query().Where(orderitem.OrderIDIn(ids...)).Order(orderitem.ByOrderID(), orderitem.BySku()).All(ctx)
	if err != nil {
		return fmt.Errorf("read items: %w", err)
	}
	for _, item := range items {
		lines := &orders[at[item.OrderID]].Lines
		*lines = append(*lines, order.Line{SKU: order.SKU(item.Sku), Name: item.Name, Quantity: item.Quantity, UnitPrice: order.Cents(item.UnitPrice)})
	}
	return nil
}

// UnitsTaken is how many units of the SKU are in orders that are not cancelled: held while pending, sold from then on.
func (o *Orders) UnitsTaken(ctx context.Context, sku order.SKU) (int64, error) {
	return fetch(ctx, o.db, func(ctx context.Context) (int64, error) {
		var sums []struct {
			Sum sql.NullInt64 `sql:"sum"`
		}
		err := o.db.ent.OrderItem.Query().Where(orderitem.Sku(string(sku)), func(s *entsql.Selector) {
			exists(s, entorder.Table, entorder.FieldID, orderitem.FieldOrderID, func(t *entsql.SelectTable) *entsql.Predicate {
				return entsql.NEQ(t.C(entorder.FieldState), int8(order.Cancelled))
			})
		}).Aggregate(ent.As(ent.Sum(orderitem.FieldQuantity), "sum")).Scan(ctx, &sums)
		if err != nil || len(sums) == 0 {
			return 0, err
		}
		return sums[0].Sum.Int64, nil
	})
}
