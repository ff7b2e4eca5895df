package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

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
	return notDurableYet(id, fmt.Sprintf("order %s is accepted but not yet durable; send the same request with the same key again", id), err)
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
