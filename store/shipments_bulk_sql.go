package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// The statements of this file claim and ship a batch of orders, in the drain's hot path. They are SQL for the reasons of orders_bulk_sql.go.

// errNotAll means that an UPDATE that was to change all orders of a batch would have changed only some. Which ones is not known, so the
// transaction is rolled back, and another one reads the rows first.
var errNotAll = errors.New("some orders are in another state")

// claimFresh claims all the orders, if all of them are shippable and none was claimed before, or returns errNotAll. The UPDATE itself checks
// that, and locks the rows: a cancellation of one of them comes before it, and the order does not count, or after the commit, and sees the claim.
func (db *DB) claimFresh(ctx context.Context, tx *ent.Client, ids []order.ID, at time.Time) error {
	where, args := whereIn(ids, shippable)
	args = slices.Insert(args, 0, any(at))
	r, err := tx.ExecContext(ctx, "UPDATE orders"+db.byPrimaryKey()+" SET ship_claimed_at = ?"+where+" AND ship_claimed_at IS NULL", args...)
	return expectRows(len(ids), r, err)
}

// claimable adds the orders that may be claimed, and locks their rows. The value is whether there is an old claim.
func (db *DB) claimable(ctx context.Context, tx *ent.Client, ids []order.ID, before time.Time, out map[order.ID]bool) error {
	where, args := whereIn(ids, shippable)
	return each(ctx, tx, "orders to be shipped", func(s scanner) error {
		var id order.ID
		var claimed bool
		err := s.Scan(&id, &claimed)
		out[id] = claimed
		return err
	}, "SELECT id, ship_claimed_at IS NOT NULL FROM orders"+db.byPrimaryKey()+where+
		" AND (ship_claimed_at IS NULL OR ship_claimed_at < ?) ORDER BY id"+db.forUpdate(), append(args, before)...)
}

// claim sets the claim of orders whose rows are locked.
func (db *DB) claim(ctx context.Context, tx *ent.Client, ids []order.ID, at time.Time) error {
	_, err := tx.ExecContext(ctx, "UPDATE orders"+db.byPrimaryKey()+" SET ship_claimed_at = ? WHERE id IN ("+placeholders(len(ids))+")",
		append([]any{at}, anys(ids)...)...)
	return err
}

// releaseClaims clears the claims of orders that have not been shipped, if they were taken at the time.
func (db *DB) releaseClaims(ctx context.Context, ids []order.ID, at time.Time) error {
	where, args := whereIn(ids, shippable)
	_, err := db.sql.ExecContext(ctx, "UPDATE orders"+db.byPrimaryKey()+" SET ship_claimed_at = NULL"+where+" AND ship_claimed_at = ?",
		append(args, at)...)
	return err
}

// markFailed brings PAID orders to SHIP_FAILED, and sets the time of those that are it.
func (db *DB) markFailed(ctx context.Context, ids []order.ID, at time.Time) error {
	where, args := whereIn(ids, append(order.ShipFailed.Predecessors(), order.ShipFailed))
	args = slices.Insert(args, 0, any(order.ShipFailed), any(at))
	_, err := db.sql.ExecContext(ctx, "UPDATE orders"+db.byPrimaryKey()+" SET state = ?, updated_at = ?"+where, args...)
	return err
}

// moveToShipped brings all the orders to SHIPPED, or returns errNotAll if the state of one does not allow it. They get one time, that of the
// batch: a CASE of 400 would be 80,000 comparisons. shipments has each order's own.
func (db *DB) moveToShipped(ctx context.Context, tx *ent.Client, ids []order.ID, at time.Time) error {
	where, args := whereIn(ids, shippable)
	r, err := tx.ExecContext(ctx, "UPDATE orders"+db.byPrimaryKey()+" SET state = ?, updated_at = ?"+where, slices.Insert(args, 0, any(order.Shipped), any(at))...)
	if err = expectRows(len(ids), r, err); err != nil {
		return fmt.Errorf("move %d orders to %s: %w", len(ids), order.Shipped, err)
	}
	return nil
}

// expectRows returns errNotAll unless an UPDATE matched n rows.
func expectRows(n int, r interface{ RowsAffected() (int64, error) }, err error) error {
	if err != nil {
		return err
	}
	matched, err := r.RowsAffected()
	if err == nil && matched != int64(n) {
		return errNotAll
	}
	return err
}

func insertShipments(ctx context.Context, tx *ent.Client, shipments []order.Shipment) error {
	now := micro(time.Now())
	args := make([]any, 0, 4*len(shipments))
	for _, s := range shipments {
		args = append(args, s.OrderID, s.TrackingID, micro(s.ShippedAt), now)
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO shipments (order_id, tracking_id, shipped_at, created_at) VALUES "+tuples(len(shipments), "(?,?,?,?)"), args...)
	if err != nil {
		return fmt.Errorf("insert %d shipments: %w", len(shipments), err)
	}
	return nil
}
