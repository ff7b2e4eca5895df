package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spillway/spillway/ent"
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
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	out.At = micro(time.Now())
	err := o.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		return o.db.claimFresh(ctx, tx, ids, out.At)
	})
	switch {
	case err == nil:
		for _, id := range ids {
			out.Orders[id] = false
		}
		return out, nil
	case errors.Is(err, errNotAll):
		err = o.claimSome(ctx, ids, lease, &out)
	}
	if err != nil {
		return ShipClaims{}, fmt.Errorf("claim %d orders for shipping: %w", len(ids), err)
	}
	return out, nil
}

// claimSome claims those of the orders that may be claimed.
func (o *Orders) claimSome(ctx context.Context, ids []order.ID, lease time.Duration, out *ShipClaims) error {
	return o.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		clear(out.Orders) // The transaction may be run again.
		out.At = micro(time.Now())
		if err := o.db.claimable(ctx, tx, ids, out.At.Add(-lease), out.Orders); err != nil || len(out.Orders) == 0 {
			return err
		}
		return o.db.claim(ctx, tx, slices.Sorted(maps.Keys(out.Orders)), out.At)
	})
}

// shippable are the states from which an order is shipped.
var shippable = order.Shipped.Predecessors()

// ReleaseShippingClaims lets orders be cancelled again if the carrier surely does not have their parcels. Claims that were taken at another
// time stay: somebody else is at it.
func (o *Orders) ReleaseShippingClaims(ctx context.Context, ids []order.ID, claimedAt time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	return o.db.call(ctx, func(ctx context.Context) error {
		if err := o.db.releaseClaims(ctx, slices.Sorted(slices.Values(ids)), claimedAt); err != nil {
			return fmt.Errorf("release %d claims: %w", len(ids), err)
		}
		return nil
	})
}

// Ship writes the shipments, brings their orders to SHIPPED and makes their mails due, in batched statements of one transaction. Orders whose
// state does not allow it, and those that do not exist, are refused and get no row; those that are SHIPPED already stay.
func (o *Orders) Ship(ctx context.Context, shipments []order.Shipment) (refused []order.ID, err error) {
	shipments = slices.Clone(shipments)
	slices.SortFunc(shipments, func(a, b order.Shipment) int { return strings.Compare(string(a.OrderID), string(b.OrderID)) })
	shipments = slices.CompactFunc(shipments, func(a, b order.Shipment) bool { return a.OrderID == b.OrderID })
	if len(shipments) == 0 {
		return nil, nil
	}
	err = o.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error { return o.db.shipAll(ctx, tx, shipments) })
	if errors.Is(err, errNotAll) {
		err = o.db.tx(ctx, func(ctx context.Context, tx *ent.Client) (err error) {
			refused, err = o.db.shipSome(ctx, tx, shipments)
			return err
		})
	}
	return refused, err
}

// shipAll ships orders that are all in a state that allows it, or returns errNotAll. The shipper claimed them, so nearly always they are.
func (db *DB) shipAll(ctx context.Context, tx *ent.Client, shipments []order.Shipment) error {
	at := slices.MaxFunc(shipments, func(a, b order.Shipment) int { return a.ShippedAt.Compare(b.ShippedAt) }).ShippedAt
	ids := shipmentIDs(shipments)
	if err := db.moveToShipped(ctx, tx, ids, micro(at)); err != nil {
		return err
	}
	if err := insertShipments(ctx, tx, shipments); err != nil {
		return err
	}
	return db.addDueMails(ctx, tx, order.MailShipped, ids)
}

// shipSome ships those of the orders that are in a state that allows it.
func (db *DB) shipSome(ctx context.Context, tx *ent.Client, shipments []order.Shipment) (refused []order.ID, err error) {
	held, err := db.lockRows(ctx, tx, shipmentIDs(shipments))
	if err != nil {
		return nil, err
	}
	var able []order.Shipment
	for _, s := range shipments {
		r, ok := held[s.OrderID]
		switch {
		case ok && r.state.CanBecome(order.Shipped):
			able = append(able, s)
		case !ok || r.state != order.Shipped:
			refused = append(refused, s.OrderID)
		}
	}
	if len(able) == 0 {
		return refused, nil
	}
	return refused, db.shipAll(ctx, tx, able)
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
	return o.db.call(ctx, func(ctx context.Context) error {
		if err := o.db.markFailed(ctx, slices.Sorted(slices.Values(ids)), micro(time.Now())); err != nil {
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
