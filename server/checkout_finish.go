package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/tracing"
)

// finish charges a reserved order and settles or releases it. An order without a card stays PENDING until PayOrder. An order with a total that
// the request does not accept stays PENDING until a request accepts it.
func (c *Checkout) finish(ctx context.Context, in checkedRequest, o order.Order, reserved journal.Offset) (order.Order, error) {
	ctx = c.finishing.Detach(ctx, finishTimeout)
	if !in.withCard || in.accepts(o) != nil {
		// A retry that does not accept the total gets the order of its key and charges nothing.
		return c.whenDurable(ctx, in, o, reserved)
	}
	charge, err := c.charge(ctx, in, o)
	// With an unknown outcome, the class of the error is that of the ledger, which may be busy after the provider took the money.
	known := !errors.Is(err, order.ErrUnknownOutcome)
	switch {
	case known && (errors.Is(err, order.ErrOverloaded) || errors.Is(err, breaker.ErrNotSent)):
		// Nothing was sent: a retry with the same key continues here.
		c.hold(ctx, o)
		return order.Order{}, err
	case known && errors.Is(err, order.ErrFailedPrecondition):
		return order.Order{}, c.release(ctx, o, order.CancelledAs(order.CancelPaymentVoided, ""), err)
	case err != nil:
		// The money may have been taken. The order stays PENDING until a retry with the same key, or the payment reconciler, finds
		// the outcome. An error here would make the customer place a second order.
		c.Log.WarnContext(ctx, "charge has an unknown outcome, order stays pending", "order", o.ID, "error", err)
		c.hold(ctx, o)
		return c.whenDurable(ctx, in, o, reserved)
	case charge.State != order.ChargeSucceeded:
		return order.Order{}, c.declined(ctx, o, charge.DeclineCode)
	}
	return c.settle(ctx, in, o, charge.ChargeID)
}

// charge charges the order's total. For an order that is paid later and was declined before, this is another attempt. charge returns
// order.ErrOverloaded, and sends nothing, if too many charges are in progress. A call that waits for another one's charge of the order takes no
// place of the checkouts meanwhile.
func (c *Checkout) charge(ctx context.Context, in checkedRequest, o order.Order) (ch order.Charge, err error) {
	joins, err := in.ticket.start(o.ID)
	if err != nil {
		return order.Charge{}, err
	}
	defer in.ticket.release()
	if joins {
		outside(ctx, func() { ch, err = c.chargeTotal(ctx, in, o) })
		return ch, err
	}
	return c.chargeTotal(ctx, in, o)
}

func (c *Checkout) chargeTotal(ctx context.Context, in checkedRequest, o order.Order) (order.Charge, error) {
	total := order.Money{Currency: o.Currency, Amount: o.Total}
	if paidLater(o) {
		return c.Payments.ChargeAgain(ctx, o.ID, total, in.card)
	}
	return c.Payments.Charge(ctx, o.ID, total, in.card)
}

// paidLater reports whether the order was placed without a card.
func paidLater(o order.Order) bool { return !o.ExpiresAt.IsZero() }

// declined returns the error of a declined card. An order that was placed with the card is released. An order that is paid later keeps its
// stock until it expires, so that PayOrder can charge another card; then the payment reconciler releases it.
func (c *Checkout) declined(ctx context.Context, o order.Order, code string) error {
	c.Declines.count(ctx, o.CustomerID)
	code = order.ShownDecline(o.CustomerID, code)
	answer := &order.DeclinedError{OrderID: o.ID, Code: code, PayUntil: o.ExpiresAt}
	if paidLater(o) {
		return answer
	}
	return c.release(ctx, o, order.CancelledAsDeclined(code), answer)
}

// hold counts the order as unpaid. Otherwise a client could hold stock without limit with cards that time out.
func (c *Checkout) hold(ctx context.Context, o order.Order) {
	if err := c.Stock.MarkUnpaid(ctx, o.ID); err != nil {
		c.Log.WarnContext(ctx, "failed to count an order with an unknown payment as unpaid", "order", o.ID, "error", err)
	}
}

// release releases the stock and returns refusal once that is durable: a customer who was told of an order finds it, and a retry with the same key
// gets the same refusal. If releasing fails, the order stays PENDING without a charge, and the payment reconciler releases it, unless Redis loses it
// before SQL has it: then a retry with the same key makes another order. An order that SQL alone has, because it was placed without Redis or Redis lost
// it, is cancelled there.
func (c *Checkout) release(ctx context.Context, o order.Order, reason order.CancelReason, refusal error) error {
	offset, err := c.Stock.Release(ctx, o.ID, reason.Encode(), tracing.Of(ctx))
	if errors.Is(err, order.ErrNotFound) {
		if _, err = c.Cancellations.Cancel(ctx, o.ID, []order.State{order.Pending}, reason, checkoutActor); err == nil {
			return refusal
		}
	}
	if err != nil {
		c.Log.ErrorContext(ctx, "failed to release an unpaid order, it stays pending", "order", o.ID, "error", err)
		if _, gerr := c.Orders.Get(ctx, o.ID); gerr == nil {
			return refusal
		}
		return notDurableYet(o.ID, "the order is not paid and not yet cancelled; send the same request with the same key again", err)
	}
	return c.whenCancelled(ctx, o.ID, offset, refusal)
}

// checkoutActor is the actor of the cancellation of an order with a declined card.
const checkoutActor = "checkout"

// whenCancelled returns the refusal once it is durable that the order is CANCELLED.
func (c *Checkout) whenCancelled(ctx context.Context, id order.ID, offset journal.Offset, refusal error) error {
	if err := c.durable(ctx, offset, id, order.Cancelled); err != nil && !errors.Is(err, journal.ErrStepNotApplied) {
		return err
	}
	return refusal
}

// settle changes a charged order to PAID and returns it once that is durable.
func (c *Checkout) settle(ctx context.Context, in checkedRequest, o order.Order, chargeID string) (order.Order, error) {
	offset, err := c.Stock.Settle(ctx, o.ID, chargeID, tracing.Of(ctx))
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
	return c.whenDurable(ctx, in, o, offset)
}

func (c *Checkout) emptyCart(ctx context.Context, in checkedRequest, o order.Order) {
	if err := c.Carts.EmptyIf(ctx, in.customer, o.Demand()); err != nil {
		c.Log.WarnContext(ctx, "failed to empty an ordered cart", "order", o.ID, "error", err)
	}
}

// reasonWhileCharged is the reason of the refund of an order that was cancelled while it was charged.
const reasonWhileCharged = "cancelled while it was charged"

// refund refunds an order that was cancelled while it was charged.
func (c *Checkout) refund(ctx context.Context, o order.Order) (order.Order, error) {
	if err := c.Payments.Refund(ctx, o.ID, reasonWhileCharged); err != nil {
		return order.Order{}, fmt.Errorf("refund order %s: %w", o.ID, err)
	}
	if o.State != order.Cancelled {
		o.State, o.CancelReason = order.Cancelled, order.CancelReason{Text: reasonWhileCharged}
	}
	return o, nil
}

// settleInSQL changes an order to PAID that Redis lost after SQL had it. If SQL does not have it either, the order is lost; the worker for lost
// orders finds its charge in the ledger and refunds it.
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

// whenDurable returns the order once its state is durable. The journal entry of the state has the offset. If SQL did not apply the state,
// whenDurable returns the order that SQL has for the idempotency key.
func (c *Checkout) whenDurable(ctx context.Context, in checkedRequest, o order.Order, offset journal.Offset) (order.Order, error) {
	err := c.durable(ctx, offset, o.ID, o.State)
	if errors.Is(err, journal.ErrStepNotApplied) {
		return c.orderOfKey(ctx, in, o.ID)
	}
	return o, err
}

// durable waits until the order's state is as durable as the setting of the shop requires. It returns journal.ErrStepNotApplied if SQL has the
// order as CANCELLED instead.
func (c *Checkout) durable(ctx context.Context, offset journal.Offset, id order.ID, state order.State) error {
	err := c.Durable.Wait(ctx, offset, id)
	if err == nil || errors.Is(err, journal.ErrStepNotApplied) {
		return err
	}
	if isDecidedInSQL(err) {
		// Only its row shows whether the state reached SQL: another process flushed it, or its Redis lost its data.
		o, gerr := c.Orders.Get(ctx, id)
		switch {
		case gerr == nil && o.State == order.Cancelled:
			return journal.ErrStepNotApplied
		case gerr == nil && o.State.Follows(state):
			return nil
		}
		err = errors.Join(err, gerr)
	}
	return stalled(id, err)
}

func notInSQLYet(id order.ID) error {
	return notDurableYet(id, fmt.Sprintf("order %s is not in SQL yet", id), nil)
}

// notDurableYet returns the order.ErrUnavailable of an order with a state that is not durable yet. The cause is for the log; it may be nil.
func notDurableYet(id order.ID, text string, cause error) error {
	var err error = order.Refuse(order.ErrUnavailable, order.ReasonNotDurableYet, "%s", text).With(metaOrderID, string(id))
	if cause != nil {
		err = fmt.Errorf("%w: %w", err, cause)
	}
	return &order.RetryError{After: durableRetryDelay, Err: err}
}
