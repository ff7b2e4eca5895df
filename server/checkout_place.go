package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/propagation"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/wire"
)

const (
	// finishTimeout bounds what follows a reservation: 3 s for the charge, 5 s for a Redis that is being rebuilt, and the
	// wait for SQL. It is not the caller's to cut short: one who hangs up would leave an order that nobody finishes.
	finishTimeout = 15 * time.Second
	// reserveTries is how often a reservation is sent again under the same id when Redis broke off.
	reserveTries = 2
	// durableRetryDelay is when to ask again for an order that is paid but not yet as durable as promised.
	durableRetryDelay = time.Second
)

// PlaceOrder reserves the stock, charges the card and answers with the order: see docs/order.md.
func (c *Checkout) PlaceOrder(ctx context.Context, req *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
	in, err := c.intent(ctx, req)
	if err != nil {
		return nil, err
	}
	o, err := c.place(ctx, in)
	if err != nil {
		return nil, err
	}
	return &spillwayv1.PlaceOrderResponse{Order: wire.Order(o)}, nil
}

func (c *Checkout) place(ctx context.Context, in checkedRequest) (order.Order, error) {
	if in.withCard {
		// Refused before anything is reserved.
		var err error
		if in.ticket, err = c.Paying.admit(ctx, in.customer); err != nil {
			return order.Order{}, err
		}
		defer in.ticket.release()
	}
	if in.fromCart {
		// A cart that was ordered is empty now: its order is found by the key alone.
		if id, err := c.Stock.Replay(ctx, in.customer, in.key, in.fingerprint); err != nil || id != "" {
			return c.resumeOr(ctx, in, id, err)
		}
	}
	lost := c.Stock.IdempotencyRecordsMayBeLost()
	if lost {
		if o, found, err := c.findInSQL(ctx, in); err != nil || found {
			return o, err
		}
	}
	if in.fromCart {
		var err error
		if in.demand, err = c.Carts.Contents(ctx, in.customer); err != nil {
			return order.Order{}, err
		}
		if len(in.demand) == 0 {
			return order.Order{}, errCartEmpty
		}
	}
	d, err := c.draft(ctx, in)
	o := d.Order
	if err == nil {
		err = in.accepts(o)
	}
	if err != nil {
		return c.replayOr(ctx, in, err)
	}
	res, err := c.reserve(ctx, d, !lost)
	if err != nil {
		return order.Order{}, err
	}
	if res.Replay != "" {
		return c.resume(ctx, in, res.Replay)
	}
	if in.fromCart && !in.withCard {
		c.emptyCart(ctx, in, o)
	}
	return c.finish(ctx, in, o, res.Offset)
}

func (c *Checkout) resumeOr(ctx context.Context, in checkedRequest, id order.ID, err error) (order.Order, error) {
	if err != nil {
		return order.Order{}, err
	}
	return c.resume(ctx, in, id)
}

// findInSQL looks for the key in SQL, where Redis may have forgotten it: after a wipe or a restart (I4).
func (c *Checkout) findInSQL(ctx context.Context, in checkedRequest) (order.Order, bool, error) {
	o, err := c.Orders.FindByKey(ctx, in.customer, in.key)
	switch {
	case errors.Is(err, order.ErrNotFound):
		return order.Order{}, false, nil
	case err != nil:
		return order.Order{}, false, err
	case !bytes.Equal(o.Fingerprint, in.fingerprint):
		return order.Order{}, false, order.ErrKeyReused
	}
	o, err = c.resume(ctx, in, o.ID)
	return o, true, err
}

// reserve sends the order to Redis, and again under the same id when Redis broke off: the script knows it then. It reserves nothing for
// a caller whose deadline is about to end. trustMarker says that the key was not looked up in SQL.
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
		Trace: traceparent(ctx),
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

// finish charges a reserved order and settles or releases it. One without a card waits for PayOrder, and one whose total the request does
// not accept for a request that does.
func (c *Checkout) finish(ctx context.Context, in checkedRequest, o order.Order, reserved journal.Offset) (order.Order, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	if !in.withCard || in.accepts(o) != nil {
		// A retry that does not accept the total gets the order of its key and charges nothing.
		return c.whenDurable(ctx, in, o, reserved)
	}
	charge, err := c.charge(ctx, in, o)
	// With an unknown outcome, the class of the error is that of the ledger, which may be busy after the provider took the money.
	known := !errors.Is(err, order.ErrUnknownOutcome)
	switch {
	case known && errors.Is(err, order.ErrOverloaded): // Nothing was sent: a retry with the same key goes on from here.
		c.hold(ctx, o)
		return order.Order{}, err
	case known && errors.Is(err, order.ErrFailedPrecondition):
		return order.Order{}, c.release(ctx, o, order.CancelledAs(order.CancelPaymentVoided, ""), err)
	case err != nil:
		// Nobody knows whether the money was taken. The order stays PENDING, and a retry with the same key, or the payment's
		// own ledger, brings the outcome. An error here would invite a second order.
		c.Log.WarnContext(ctx, "the outcome of a charge is not known; the order stays pending", "order", o.ID, "error", err)
		c.hold(ctx, o)
		return c.whenDurable(ctx, in, o, reserved)
	case charge.State != order.ChargeSucceeded:
		return order.Order{}, c.declined(ctx, o, charge.DeclineCode)
	}
	return c.settle(ctx, in, o, charge.ChargeID)
}

// hold counts the order as unpaid: with cards that do not answer, a client could hold as much stock as with none.
func (c *Checkout) hold(ctx context.Context, o order.Order) {
	if err := c.Stock.MarkUnpaid(ctx, o.ID); err != nil {
		c.Log.WarnContext(ctx, "an order whose payment is not known is not counted as unpaid", "order", o.ID, "error", err)
	}
}

// release gives the stock back at once and returns the answer. If that fails, the order stays pending without a charge, which the ledger knows.
func (c *Checkout) release(ctx context.Context, o order.Order, reason order.CancelReason, answer error) error {
	if _, err := c.Stock.Release(ctx, o.ID, reason.Encode(), traceparent(ctx)); err != nil {
		c.Log.ErrorContext(ctx, "the stock of an unpaid order was not given back; it stays pending", "order", o.ID, "error", err)
	}
	return answer
}

// settle makes a charged order PAID and answers once that is durable.
func (c *Checkout) settle(ctx context.Context, in checkedRequest, o order.Order, chargeID string) (order.Order, error) {
	place, err := c.Stock.Settle(ctx, o.ID, chargeID, traceparent(ctx))
	switch {
	case errors.Is(err, order.ErrFailedPrecondition):
		return c.refund(ctx, o)
	case errors.Is(err, order.ErrNotFound):
		return c.settleInSQL(ctx, o)
	case err != nil:
		return order.Order{}, err
	}
	if in.fromCart {
		c.emptyCart(ctx, in, o)
	}
	o.State, o.UpdatedAt = order.Paid, c.Now().UTC().Truncate(time.Microsecond)
	return c.whenDurable(ctx, in, o, place)
}

func (c *Checkout) emptyCart(ctx context.Context, in checkedRequest, o order.Order) {
	if err := c.Carts.EmptyIf(ctx, in.customer, o.Demand()); err != nil {
		c.Log.WarnContext(ctx, "a cart that was ordered was not emptied", "order", o.ID, "error", err)
	}
}

// reasonWhileCharged is why money of an order that was cancelled meanwhile goes back.
const reasonWhileCharged = "cancelled while it was charged"

// refund gives the money of an order back that was cancelled while its charge was in flight.
func (c *Checkout) refund(ctx context.Context, o order.Order) (order.Order, error) {
	if err := c.Payments.Refund(ctx, o.ID, reasonWhileCharged); err != nil {
		return order.Order{}, fmt.Errorf("refund order %s: %w", o.ID, err)
	}
	if o.State != order.Cancelled {
		o.State, o.CancelReason = order.Cancelled, order.CancelReason{Text: reasonWhileCharged}
	}
	return o, nil
}

// settleInSQL makes an order PAID that Redis lost after SQL had it: nobody else decides about it any more. One that SQL does
// not have either is lost; its charge is found in the ledger and refunded.
func (c *Checkout) settleInSQL(ctx context.Context, o order.Order) (order.Order, error) {
	now := c.Now().UTC().Truncate(time.Microsecond)
	held, err := c.Orders.Get(ctx, o.ID)
	if errors.Is(err, order.ErrNotFound) {
		return order.Order{}, notInSQLYet(o.ID)
	}
	if err == nil && held.State == order.Pending {
		err = c.Orders.MarkPaid(ctx, o, now)
		if errors.Is(err, order.ErrFailedPrecondition) { // Its units are back: it was cancelled.
			return c.refund(ctx, o)
		}
		if err == nil {
			held, err = c.Orders.Get(ctx, o.ID)
		}
	}
	if err == nil && held.State == order.Cancelled {
		return c.refund(ctx, held)
	}
	return held, err
}

// whenDurable answers with the order once its state, whose journal entry is at the place, is as safe as the durability setting promises. When
// SQL refused that state, it answers with what SQL has for the idempotency key.
func (c *Checkout) whenDurable(ctx context.Context, in checkedRequest, o order.Order, place journal.Offset) (order.Order, error) {
	err := c.durable(ctx, place, o.ID, o.State)
	if errors.Is(err, journal.ErrStepNotApplied) {
		return c.owner(ctx, in, o.ID)
	}
	return o, err
}

// durable waits until the order's state is as safe as the durability setting promises. It is journal.ErrStepNotApplied when SQL has the order
// CANCELLED instead.
func (c *Checkout) durable(ctx context.Context, place journal.Offset, id order.ID, state order.State) error {
	err := c.Durable.Wait(ctx, place, id)
	if err == nil || errors.Is(err, journal.ErrStepNotApplied) {
		return err
	}
	if isDecidedInSQL(err) {
		// Its row alone says whether the state reached SQL: another process flushed it, or its Redis went.
		o, gerr := c.Orders.Get(ctx, id)
		switch {
		case gerr == nil && o.State == order.Cancelled:
			return journal.ErrStepNotApplied
		case gerr == nil && o.State.Follows(state):
			return nil
		}
		err = errors.Join(err, gerr)
	}
	return notDurableYet(id, fmt.Sprintf("order %s is accepted but not yet durable; send the same request with the same key again", id), err)
}

// traceparent is the W3C trace context of the request, or empty.
func traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}
