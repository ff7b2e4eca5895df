package server

import (
	"bytes"
	"context"
	"errors"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/tracing"
	"github.com/spillway/spillway/wire"
)

const (
	// finishTimeout bounds the steps after a reservation: 3 s for the charge, 5 s for a Redis that is being rebuilt, and the wait
	// for SQL. The caller's own deadline does not end them: that would leave an unfinished order.
	finishTimeout = 15 * time.Second
	// reserveTries bounds the attempts of a reservation, with the same order id, when Redis breaks the connection.
	reserveTries = 2
	// durableRetryDelay is the retry delay for an order with a state that is not durable yet.
	durableRetryDelay = time.Second
)

// PlaceOrder reserves the stock, charges the card and returns the order: see docs/order.md.
func (c *Checkout) PlaceOrder(ctx context.Context, req *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
	in, err := c.check(ctx, req)
	if err != nil {
		return nil, err
	}
	o, err := c.place(ctx, in)
	if err != nil {
		return nil, err
	}
	return &spillwayv1.PlaceOrderResponse{Order: wire.Order(o)}, nil
}

// place prices and reserves the order, unless an order exists for the key already, and finishes it.
func (c *Checkout) place(ctx context.Context, in checkedRequest) (order.Order, error) {
	if in.withCard {
		// Refused before anything is reserved.
		err := c.Declines.check(ctx, in.customer)
		if err != nil {
			in.withCard, in.card = false, payment.Card{} // Of an order that is still PENDING as well: its retry gets it, and charges nothing.
			return c.replayOr(ctx, in, err)
		}
		if in.ticket, err = c.Paying.admit(ctx, in.customer); err != nil {
			return order.Order{}, err
		}
		defer in.ticket.release()
	}
	if err := c.Durable.Ready(); err != nil {
		return c.replayOr(ctx, in, err)
	}
	if in.fromCart {
		// An ordered cart is empty now, so that its order can be found by the key alone.
		if id, err := c.Stock.Replay(ctx, in.customer, in.key, in.fingerprint); err != nil || id != "" {
			return c.resumeOr(ctx, in, id, err)
		}
	}
	if c.Stock.IdempotencyRecordsMayBeLost() {
		if o, found, err := c.findInSQL(ctx, in); err != nil || found {
			return o, err
		}
		in.lookedUp = true
	}
	if in.fromCart {
		var err error
		if in.demand, err = c.demandOf(ctx, nil); err != nil {
			return order.Order{}, err
		}
	}
	d, err := c.acceptable(ctx, in)
	o := d.Order
	if err != nil {
		return c.replayOr(ctx, in, err)
	}
	res, err := c.reserve(ctx, d, !in.lookedUp)
	if err != nil || res.Replay != "" {
		return c.resumeOr(ctx, in, res.Replay, err)
	}
	if in.fromCart && !in.withCard {
		c.emptyCart(ctx, in, o)
	}
	return c.finish(ctx, in, o, res.Offset)
}

// acceptable prices the request, and refuses what is not reserved: another price than the customer has seen, what is not sold yet, and a charge that
// would not be sent.
func (c *Checkout) acceptable(ctx context.Context, in checkedRequest) (draft, error) {
	d, err := c.draft(ctx, in)
	if err == nil {
		err = in.accepts(d.Order)
	}
	if err == nil {
		err = d.saleStart.begun(c.Now())
	}
	if err == nil && in.withCard {
		err = c.Payments.Ready()
	}
	return d, err
}

// findInSQL looks the key up in SQL, because Redis may have lost its record in a wipe or a restart (I4).
func (c *Checkout) findInSQL(ctx context.Context, in checkedRequest) (order.Order, bool, error) {
	o, err := c.Orders.FindByKey(ctx, in.customer, in.key)
	switch {
	case errors.Is(err, order.ErrNotFound):
		return order.Order{}, false, nil
	case err != nil:
		return order.Order{}, false, err
	case !bytes.Equal(o.Fingerprint, in.fingerprint):
		return order.Order{}, false, order.KeyReused(o.ID)
	}
	o, err = c.resume(ctx, in, o.ID)
	return o, true, err
}

// replayOr returns the order of the key, or refusal if there is none. A retry gets its order (I4) even if a price has changed, a product was
// archived, or rates have become too old since the first request. The key of an order that Redis does not know is looked up in SQL, unless that stands still.
func (c *Checkout) replayOr(ctx context.Context, in checkedRequest, refusal error) (order.Order, error) {
	id, err := c.Stock.Replay(ctx, in.customer, in.key, in.fingerprint)
	if err == nil && id == "" {
		err = refusal
		if !in.lookedUp && c.Stock.IdempotencyRecordsMayBeLost() && c.Durable.Ready() == nil {
			if o, found, inSQL := c.findInSQL(ctx, in); found || inSQL != nil {
				return o, inSQL
			}
		}
	}
	return c.resumeOr(ctx, in, id, err)
}

// resumeOr returns err, or the order after resuming it. The record of a reused key can be that of a duplicate, made while Redis had lost the
// record of the order: the key belongs to the order that SQL has.
func (c *Checkout) resumeOr(ctx context.Context, in checkedRequest, id order.ID, err error) (order.Order, error) {
	if errors.Is(err, order.ErrKeyReused) {
		if o, found, inSQL := c.findInSQL(ctx, in); found || inSQL != nil {
			return o, inSQL
		}
	}
	if err != nil {
		return order.Order{}, err
	}
	return c.resume(ctx, in, id)
}

// reserve reserves the stock of the order in Redis. It retries with the same order id when Redis breaks the connection: the script detects a
// repeated id. It reserves nothing when the caller's deadline is too near. trustMarker means that the key was not looked up in SQL.
func (c *Checkout) reserve(ctx context.Context, d draft, trustMarker bool) (stock.Reservation, error) {
	o := d.Order
	if err := checkTime(ctx); err != nil {
		return stock.Reservation{}, err
	}
	snapshot, err := wire.MarshalSnapshot(o)
	if err != nil {
		return stock.Reservation{}, err
	}
	req := stock.Request{
		OrderID: o.ID, Customer: o.CustomerID, Key: o.IdempotencyKey, Fingerprint: o.Fingerprint,
		Demand: o.Demand(), Snapshot: snapshot, MaxUnits: d.maxUnits, PayLater: paidLater(o), SkippedSQL: trustMarker,
		Trace: tracing.Of(ctx),
	}
	for range reserveTries - 1 {
		res, err := c.Stock.Reserve(ctx, req)
		if !errors.Is(err, order.ErrUnknownOutcome) {
			return res, err
		}
		req.Epoch = res.Offset.Epoch
	}
	return c.Stock.Reserve(ctx, req)
}
