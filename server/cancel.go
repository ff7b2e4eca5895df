package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/pause"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/tracing"
	"github.com/spillway/spillway/wire"
)

// Canceller cancels orders. A PENDING order is cancelled in Redis, any other one in its row in SQL.
type Canceller struct {
	Stock interface {
		Settle(ctx context.Context, id order.ID, chargeID, trace string) (journal.Offset, error)
		Release(ctx context.Context, id order.ID, reason, trace string) (journal.Offset, error)
		HotOrder(ctx context.Context, id order.ID) (stock.HotOrder, error)
	}
	Store    CancellationStore
	Payments interface {
		// Void makes sure that the order is never charged. It returns order.ErrFailedPrecondition if it was charged.
		Void(ctx context.Context, id order.ID) error
		// VoidUncharged is Void for an order that was placed without a card. It does not need the provider; false means that a card may be charged.
		VoidUncharged(ctx context.Context, id order.ID) (bool, error)
		// Find reads the outcome of the order's charge.
		Find(ctx context.Context, id order.ID) (order.Charge, error)
	}
	// Changes publishes the cancellation to watchers. If that fails, they get it from the next resync.
	Changes interface {
		Publish(ctx context.Context, changes []journal.Change) error
	}
	Durable DurabilityWaiter
	Log     *slog.Logger
	Now     func() time.Time

	flights singleflight.Group
	calls   orderCalls
	waits   cancelWaits
}

const (
	// rowTimeout bounds the wait for the row of a paid order, which is on its way through the queue.
	rowTimeout = 3 * time.Second
	// rowPoll is the interval in which the row is polled.
	rowPoll = 50 * time.Millisecond
	// shippingRetryDelay is the retry delay for an order that is being handed to the carrier.
	shippingRetryDelay = 5 * time.Second
)

// CancelOrder cancels one of the caller's orders.
func (s Orders) CancelOrder(ctx context.Context, req *spillwayv1.CancelOrderRequest) (*spillwayv1.CancelOrderResponse, error) {
	o, err := s.Changing.ReadToChange(ctx, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	by := order.CancelByCustomer
	if o.Owner() != customer(ctx) { // Only an operator reads the orders of others.
		by = order.CancelByShop
	}
	if o, err = s.Canceller.Cancel(ctx, o, order.CancelledAs(by, req.GetReason()), actor(ctx)); err != nil {
		return nil, err
	}
	return &spillwayv1.CancelOrderResponse{Order: wire.Order(o)}, nil
}

// Cancel cancels the order and returns it. Once begun it does not end with the caller's deadline. Concurrent callers share one cancellation
// of an order, because each would poll SQL for the row of a paid order, over the connections of all checkouts. Calls that wait take no place of
// the checkouts: one customer could fill them all with cancellations of one order.
func (c *Canceller) Cancel(ctx context.Context, o order.Order, reason order.CancelReason, actor string) (done order.Order, err error) {
	joins := c.calls.enter(o.ID)
	defer c.calls.leave(o.ID)
	if !joins {
		return c.share(ctx, o, reason, actor)
	}
	if refusal := c.wait(ctx, o.ID, func() { done, err = c.share(ctx, o, reason, actor) }); refusal != nil {
		return order.Order{}, refusal
	}
	return done, err
}

// share cancels the order, or waits for a call that does.
func (c *Canceller) share(ctx context.Context, o order.Order, reason order.CancelReason, actor string) (order.Order, error) {
	done, err, _ := c.flights.Do(string(o.ID), func() (any, error) { return c.cancel(ctx, o, reason, actor) })
	if err != nil {
		return order.Order{}, err
	}
	return done.(order.Order), nil //nolint:forcetypeassert,errcheck // cancel returned it.
}

// wait calls f, which waits, unless as many calls as may wait already do: then it returns the error of cancelWaits.
func (c *Canceller) wait(ctx context.Context, id order.ID, f func()) error {
	leave, err := c.waits.enter(ctx, id)
	if err != nil {
		return err
	}
	defer leave()
	outside(ctx, f)
	return nil
}

func errNotCancelledYet(id order.ID) error {
	return notDurableYet(id, "the order is being cancelled; send the same request again", nil)
}

func (c *Canceller) cancel(ctx context.Context, o order.Order, reason order.CancelReason, actor string) (order.Order, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	switch o.State {
	case order.Cancelled:
		return o, nil
	case order.Shipped:
		return order.Order{}, errShipped
	case order.Paid, order.ShipFailed:
		return c.cancelRow(ctx, o, fromPaid, reason, actor)
	case order.Pending:
	}
	err := c.release(ctx, o, reason)
	switch {
	case errors.Is(err, order.ErrFailedPrecondition): // It is paid.
		return c.cancelRow(ctx, o, fromPaid, reason, actor)
	case errors.Is(err, order.ErrNotFound): // Redis lost it, or has let it go since it was read: SQL alone decides.
		return c.cancelRow(ctx, o, append([]order.State{order.Pending}, fromPaid...), reason, actor)
	case err != nil:
		return order.Order{}, err
	}
	return c.cancelled(o, reason), nil
}

// fromPaid are the states in which an order is cancelled in SQL.
var fromPaid = []order.State{order.Paid, order.ShipFailed}

var errShipped = order.Refuse(order.ErrFailedPrecondition, order.ReasonOrderShipped, "the order is shipped: it cannot be cancelled any more")

func (c *Canceller) cancelled(o order.Order, reason order.CancelReason) order.Order {
	o.State, o.CancelReason, o.UpdatedAt = order.Cancelled, reason, c.Now().UTC().Truncate(time.Microsecond)
	return o
}

// release cancels a PENDING order in Redis. order.ErrFailedPrecondition means that it is paid, order.ErrNotFound that Redis does not have it.
// The tombstone in the ledger is written first: it refuses a charge in progress, or the charge was faster, and then the order is paid. The
// state in Redis is not enough, because Redis may have lost that the order was settled. A crash before the release leaves a PENDING order
// that cannot be charged; the payment reconciler releases it.
func (c *Canceller) release(ctx context.Context, o order.Order, reason order.CancelReason) error {
	id, err := o.ID, c.void(ctx, o)
	if errors.Is(err, order.ErrFailedPrecondition) {
		return c.settle(ctx, id)
	}
	if err != nil {
		return &order.RetryError{After: durableRetryDelay, Err: fmt.Errorf("void the payment of order %s: %w: %w", id, order.ErrUnavailable, err)}
	}
	offset, err := c.Stock.Release(ctx, id, reason.Encode(), tracing.Of(ctx))
	if err != nil {
		return err
	}
	if err := c.Durable.Wait(ctx, offset, id); err != nil && !isDecidedInSQL(err) {
		return notDurableYet(id, "the order is cancelled but not yet durable; send the same request again", err)
	}
	return nil
}

// void makes sure that the order is never charged. The provider is needed for an order that may have been charged only.
func (c *Canceller) void(ctx context.Context, o order.Order) error {
	trusted, err := stock.LedgerIsTrusted(ctx, c.Stock, o)
	if err != nil {
		return err
	}
	if trusted {
		if voided, err := c.Payments.VoidUncharged(ctx, o.ID); voided || err != nil {
			return err
		}
	}
	return c.Payments.Void(ctx, o.ID)
}

// settle changes a PENDING order that was charged to PAID, and then returns order.ErrFailedPrecondition.
func (c *Canceller) settle(ctx context.Context, id order.ID) error {
	charge, err := c.Payments.Find(ctx, id)
	if err != nil {
		return err
	}
	if charge.State == order.ChargeSucceeded {
		if _, err := c.Stock.Settle(ctx, id, charge.ChargeID, tracing.Of(ctx)); err != nil {
			return err
		}
	}
	return fmt.Errorf("order %s is charged: %w", id, order.ErrFailedPrecondition)
}

// isDecidedInSQL reports whether a wait ended because SQL includes the offset, or because its epoch ended. Then the order's row has the outcome.
func isDecidedInSQL(err error) bool {
	return errors.Is(err, journal.ErrStepNotApplied) || errors.Is(err, journal.ErrUnverified) || errors.Is(err, journal.ErrEpochPassed)
}

// cancelRow cancels an order in SQL, once its row has the state that Redis has.
func (c *Canceller) cancelRow(ctx context.Context, o order.Order, from []order.State, reason order.CancelReason, actor string) (order.Order, error) {
	wait, cancel := context.WithTimeout(ctx, rowTimeout)
	defer cancel()
	for {
		was, err := c.Store.Cancel(ctx, o.ID, from, reason, actor)
		switch {
		case err == nil:
			o = c.cancelled(o, reason)
			if err := c.Changes.Publish(ctx, []journal.Change{{OrderID: o.ID, State: o.State, At: o.UpdatedAt}}); err != nil {
				c.Log.WarnContext(ctx, "failed to publish a cancellation", "order", o.ID, "error", err)
			}
			return o, nil
		case errors.Is(err, store.ErrBeingShipped):
			return order.Order{}, &order.RetryError{After: shippingRetryDelay, Err: order.Refuse(order.ErrUnavailable, order.ReasonOrderBeingShipped,
				"the order is being handed to the carrier; send the same request again").With(metaOrderID, string(o.ID))}
		case errors.Is(err, order.ErrFailedPrecondition) && was == order.Shipped:
			return order.Order{}, errShipped
		case !errors.Is(err, order.ErrNotFound) && (!errors.Is(err, order.ErrFailedPrecondition) || was != order.Pending):
			return order.Order{}, err
		}
		if refusal := c.wait(ctx, o.ID, func() { err = pause.For(wait, rowPoll) }); refusal != nil {
			return order.Order{}, refusal
		}
		if err != nil {
			return order.Order{}, notDurableYet(o.ID, textNotWritten, nil)
		}
	}
}
