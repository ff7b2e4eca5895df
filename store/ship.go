package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spillway/spillway/order"
)

// Shipment is a parcel that the carrier has.
type Shipment struct {
	OrderID    order.ID
	TrackingID string
	// ShippedAt is when the carrier took it, UTC.
	ShippedAt time.Time
}

// Ship writes the shipments and brings their orders to SHIPPED, in batched statements of one transaction. Orders whose
// state does not allow it, and those that do not exist, are refused and get no row; those that are SHIPPED already stay.
func (o *Orders) Ship(ctx context.Context, shipments []Shipment) (refused []order.ID, err error) {
	err = o.db.tx(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		refused, err = o.db.ship(ctx, tx, shipments)
		return err
	})
	return refused, err
}

func (db *DB) ship(ctx context.Context, tx *sql.Tx, shipments []Shipment) (refused []order.ID, err error) {
	shipments = slices.Clone(shipments)
	slices.SortFunc(shipments, func(a, b Shipment) int { return strings.Compare(string(a.OrderID), string(b.OrderID)) })
	shipments = slices.CompactFunc(shipments, func(a, b Shipment) bool { return a.OrderID == b.OrderID })
	held, err := db.lockRows(ctx, tx, shipmentIDs(shipments))
	if err != nil {
		return nil, err
	}
	var moves []Change
	var args []any
	for _, s := range shipments {
		r, ok := held[s.OrderID]
		switch {
		case ok && r.state.CanBecome(order.Shipped):
			moves = append(moves, Change{Order: order.Order{ID: s.OrderID}, To: order.Shipped, At: s.ShippedAt})
			args = append(args, s.OrderID, s.TrackingID, micro(s.ShippedAt), micro(time.Now()))
		case !ok || r.state != order.Shipped:
			refused = append(refused, s.OrderID)
		}
	}
	if len(moves) == 0 {
		return refused, nil
	}
	if err := db.move(ctx, tx, order.Shipped, moves); err != nil {
		return nil, err
	}
	values := strings.TrimSuffix(strings.Repeat("(?,?,?,?),", len(moves)), ",")
	if _, err := tx.ExecContext(ctx, "INSERT INTO shipments (order_id, tracking_id, shipped_at, created_at) VALUES "+values, args...); err != nil {
		return nil, fmt.Errorf("insert %d shipments: %w", len(moves), err)
	}
	return refused, nil
}

func shipmentIDs(shipments []Shipment) []order.ID {
	out := make([]order.ID, len(shipments))
	for i, s := range shipments {
		out[i] = s.OrderID
	}
	return out
}

// MarkShipFailed brings orders whose state allows it to SHIP_FAILED; the others stay.
func (o *Orders) MarkShipFailed(ctx context.Context, ids []order.ID) error {
	slices.Sort(ids)
	changes := make([]Change, len(ids))
	for i, id := range ids {
		changes[i] = Change{Order: order.Order{ID: id}, At: time.Now()}
	}
	return o.db.tx(ctx, func(ctx context.Context, tx *sql.Tx) error { return o.db.move(ctx, tx, order.ShipFailed, changes) })
}

// Shipment reads the shipment of an order; order.ErrNotFound when it was not shipped.
func (o *Orders) Shipment(ctx context.Context, id order.ID) (Shipment, error) {
	s := Shipment{OrderID: id}
	err := o.db.call(ctx, func(ctx context.Context) error {
		err := o.db.sql.QueryRowContext(ctx, "SELECT tracking_id, shipped_at FROM shipments WHERE order_id = ?", id).Scan(&s.TrackingID, &s.ShippedAt)
		if errors.Is(err, sql.ErrNoRows) {
			return order.ErrNotFound
		}
		return err
	})
	if err != nil {
		return Shipment{}, err
	}
	s.ShippedAt = s.ShippedAt.UTC()
	return s, nil
}
