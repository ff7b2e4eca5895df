package store

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// Standing is what SQL knows of an order that Redis may have forgotten.
type Standing struct {
	// Exists reports whether the order has a row; State and Reason are the row's. UpdatedAt is when the row entered its state, or, without a
	// row, when the units came back.
	Exists    bool
	State     order.State
	Reason    order.CancelReason
	UpdatedAt time.Time
	// Returned reports that its units are back in stock, for ReturnReason; the row may still have another state.
	Returned     bool
	ReturnReason order.CancelReason
}

// Cancelled reports whether SQL has undone the order, so that it must be neither settled nor released again, and why. The row of a
// duplicate alone is no sign of that: its units return by its release.
func (s Standing) Cancelled() (reason order.CancelReason, cancelled bool) {
	switch {
	case s.Exists && s.State == order.Cancelled && (s.Returned || s.Reason.Code != order.CancelDuplicate):
		return s.Reason, true
	case s.Returned:
		return s.ReturnReason, true
	}
	return order.CancelReason{}, false
}

// Standing reads what SQL knows of an order.
func (o *Orders) Standing(ctx context.Context, id order.ID) (Standing, error) {
	return fetch(ctx, o.db, func(ctx context.Context) (s Standing, err error) {
		if s, err = standing(ctx, o.db.ent, id); err != nil {
			err = fmt.Errorf("read the standing of order %s: %w", id, err)
		}
		return s, err
	})
}

// CancellationOf reads why an order is cancelled that has a cancellation, whether it has a row or not; order.ErrNotFound without one. An order that
// was given up as lost has a cancellation only.
func (o *Orders) CancellationOf(ctx context.Context, id order.ID) (order.CancelReason, error) {
	return fetch(ctx, o.db, func(ctx context.Context) (order.CancelReason, error) {
		c, err := o.db.ent.OrderCancellation.Get(ctx, string(id))
		if ent.IsNotFound(err) {
			return order.CancelReason{}, order.ErrNotFound
		}
		if err != nil {
			return order.CancelReason{}, fmt.Errorf("read the cancellation of order %s: %w", id, err)
		}
		return toReason(c.CancelCode, c.DuplicateOf, c.DeclineCode, c.Reason), nil
	})
}

// OrderStatus reads the status that an order has for Redis: Cancelled when its units are back in stock, else the state of its row, and
// Pending without one.
func (s *Stock) OrderStatus(ctx context.Context, id order.ID) (order.Status, error) {
	st, err := NewOrders(s.db).Standing(ctx, id)
	if err != nil {
		return order.Status{}, err
	}
	if reason, ok := st.Cancelled(); ok {
		return order.Status{State: order.Cancelled, Reason: reason, At: st.UpdatedAt}, nil
	}
	if !st.Exists || st.State == order.Cancelled { // The row of a duplicate: its units are still to return.
		return order.Status{State: order.Pending}, nil
	}
	return order.Status{State: st.State, Reason: st.Reason, At: st.UpdatedAt}, nil
}

func standing(ctx context.Context, client *ent.Client, id order.ID) (s Standing, err error) {
	row, err := client.Order.Get(ctx, string(id))
	if s.Exists = err == nil; s.Exists {
		s.State, s.UpdatedAt = order.State(row.State), row.UpdatedAt
		s.Reason = toReason(row.CancelCode, row.DuplicateOf, row.DeclineCode, row.CancelReason)
	} else if !ent.IsNotFound(err) {
		return s, err
	}
	back, err := client.StockReturn.Get(ctx, string(id))
	if ent.IsNotFound(err) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	s.Returned, s.ReturnReason = true, toReason(back.CancelCode, back.DuplicateOf, back.DeclineCode, back.Reason)
	if !s.Exists {
		s.UpdatedAt = back.ReturnedAt
	}
	return s, nil
}

// MarkPaid brings one pending order to PAID without an event, because Redis has lost the order. It returns order.ErrFailedPrecondition when the
// order's units are back in stock, so that its charge must be refunded.
func (o *Orders) MarkPaid(ctx context.Context, ord order.Order, at time.Time) error {
	return o.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		returned, err := returnedAmong(ctx, tx, []order.ID{ord.ID})
		if err != nil {
			return err
		}
		if _, back := returned[ord.ID]; back {
			return fmt.Errorf("the units of order %s were given back: %w", ord.ID, order.ErrFailedPrecondition)
		}
		_, err = o.db.applyOrders(ctx, tx, []order.Event{{Order: ord, To: order.Paid, At: at}})
		return err
	})
}
