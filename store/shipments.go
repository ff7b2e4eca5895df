package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spillway/spillway/ent"
	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/order"
)

// ShipClaims are the orders that their claimant may hand to the carrier.
type ShipClaims struct {
	// At is the claims' own time: they are released by it.
	At time.Time
	// Orders are the claimed ones. The value is whether there was a claim before, so that the carrier may have the parcel already.
	Orders map[order.ID]bool
}

// ClaimShipping keeps those of the orders that are PAID or SHIP_FAILED from being cancelled, and from being claimed by another for
// as long as the lease. Orders in other states, and those that another one claimed within the lease, are not in the result.
func (o *Orders) ClaimShipping(ctx context.Context, ids []order.ID, lease time.Duration) (ShipClaims, error) {
	out := ShipClaims{Orders: make(map[order.ID]bool, len(ids))}
	if len(ids) == 0 {
		return out, nil
	}
	err := o.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		clear(out.Orders) // The transaction may be run again.
		out.At = micro(time.Now())
		if err := o.db.claimable(ctx, tx, ids, out.At.Add(-lease), out.Orders); err != nil || len(out.Orders) == 0 {
			return err
		}
		ids := texts(slices.Sorted(maps.Keys(out.Orders)))
		return tx.Order.Update().Where(entorder.IDIn(ids...)).SetShipClaimedAt(out.At).Exec(ctx)
	})
	if err != nil {
		return ShipClaims{}, fmt.Errorf("claim %d orders for shipping: %w", len(ids), err)
	}
	return out, nil
}

// shippable are the states from which an order is shipped.
var shippable = order.Shipped.Predecessors()

// claimable adds the orders that may be claimed, and locks their rows. The value is whether there is an old claim.
func (db *DB) claimable(ctx context.Context, tx *ent.Client, ids []order.ID, before time.Time, out map[order.ID]bool) error {
	found, err := locked(db, tx.Order.Query().Where(
		entorder.IDIn(texts(ids)...), entorder.StateIn(states(shippable)...),
		entorder.Or(entorder.ShipClaimedAtIsNil(), entorder.ShipClaimedAtLT(before)),
	).Order(entorder.ByID())).Select(entorder.FieldID, entorder.FieldShipClaimedAt).All(ctx)
	if err != nil {
		return fmt.Errorf("read orders to be shipped: %w", err)
	}
	for _, f := range found {
		out[order.ID(f.ID)] = f.ShipClaimedAt != nil
	}
	return nil
}

// ReleaseShippingClaims lets orders be cancelled again if the carrier surely does not have their parcels. Claims that were taken at another
// time stay: somebody else is at it.
func (o *Orders) ReleaseShippingClaims(ctx context.Context, ids []order.ID, claimedAt time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	return o.db.call(ctx, func(ctx context.Context) error {
		err := o.db.ent.Order.Update().Where(
			entorder.ShipClaimedAt(claimedAt), entorder.IDIn(texts(slices.Sorted(slices.Values(ids)))...), entorder.StateIn(states(shippable)...),
		).ClearShipClaimedAt().Exec(ctx)
		if err != nil {
			return fmt.Errorf("release %d claims: %w", len(ids), err)
		}
		return nil
	})
}

// Ship writes the shipments, brings their orders to SHIPPED and notes their mails as due, in batched statements of one transaction. Orders whose
// state does not allow it, and those that do not exist, are refused and get no row; those that are SHIPPED already stay.
func (o *Orders) Ship(ctx context.Context, shipments []order.Shipment) (refused []order.ID, err error) {
	err = o.db.tx(ctx, func(ctx context.Context, tx *ent.Client) (err error) {
		refused, err = o.db.ship(ctx, tx, shipments)
		return err
	})
	return refused, err
}

func (db *DB) ship(ctx context.Context, tx *ent.Client, shipments []order.Shipment) (refused []order.ID, err error) {
	shipments = slices.Clone(shipments)
	slices.SortFunc(shipments, func(a, b order.Shipment) int { return strings.Compare(string(a.OrderID), string(b.OrderID)) })
	shipments = slices.CompactFunc(shipments, func(a, b order.Shipment) bool { return a.OrderID == b.OrderID })
	if len(shipments) == 0 {
		return nil, nil
	}
	held, err := db.lockRows(ctx, tx, shipmentIDs(shipments))
	if err != nil {
		return nil, err
	}
	var moves []order.Event
	var rows []*ent.ShipmentCreate
	for _, s := range shipments {
		r, ok := held[s.OrderID]
		switch {
		case ok && r.state.CanBecome(order.Shipped):
			moves = append(moves, order.Event{Order: order.Order{ID: s.OrderID}, To: order.Shipped, At: s.ShippedAt})
			rows = append(rows, tx.Shipment.Create().SetID(string(s.OrderID)).SetTrackingID(s.TrackingID).
				SetShippedAt(micro(s.ShippedAt)).SetCreatedAt(micro(time.Now())))
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
	if err := tx.Shipment.CreateBulk(rows...).Exec(ctx); err != nil {
		return nil, fmt.Errorf("insert %d shipments: %w", len(moves), err)
	}
	return refused, addDueMails(ctx, tx, order.MailShipped, ids(moves))
}

func shipmentIDs(shipments []order.Shipment) []order.ID {
	out := make([]order.ID, len(shipments))
	for i, s := range shipments {
		out[i] = s.OrderID
	}
	return out
}

// MarkShipFailed brings PAID orders to SHIP_FAILED, and notes of those that are it already that they were tried again. The others
// stay, and so do all claims: where a parcel is may be unknown.
func (o *Orders) MarkShipFailed(ctx context.Context, ids []order.ID) error {
	if len(ids) == 0 {
		return nil
	}
	from := append(order.ShipFailed.Predecessors(), order.ShipFailed)
	return o.db.call(ctx, func(ctx context.Context) error {
		err := o.db.ent.Order.Update().Where(entorder.IDIn(texts(slices.Sorted(slices.Values(ids)))...), entorder.StateIn(states(from)...)).
			SetState(int8(order.ShipFailed)).SetUpdatedAt(micro(time.Now())).Exec(ctx)
		if err != nil {
			return fmt.Errorf("mark %d orders as SHIP_FAILED: %w", len(ids), err)
		}
		return nil
	})
}

// Shipment reads the shipment of an order; order.ErrNotFound when it was not shipped.
func (o *Orders) Shipment(ctx context.Context, id order.ID) (order.Shipment, error) {
	return fetch(ctx, o.db, func(ctx context.Context) (order.Shipment, error) {
		found, err := o.db.ent.Shipment.Get(ctx, string(id))
		if ent.IsNotFound(err) {
			return order.Shipment{}, order.Refuse(order.ErrNotFound, order.ReasonShipmentNotFound, "order %s has no shipment", id)
		}
		if err != nil {
			return order.Shipment{}, err
		}
		return order.Shipment{OrderID: id, TrackingID: found.TrackingID, ShippedAt: found.ShippedAt.UTC()}, nil
	})
}
