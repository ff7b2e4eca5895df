package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// Cancellation is the intent to undo an order: its money and its units go back, and only then it is finished.
type Cancellation struct {
	OrderID order.ID
	// Customer placed the order; empty when it has no row. Due reads it.
	Customer order.CustomerID
	Reason   order.CancelReason
	// Actor is who wanted it: a customer, or a worker.
	Actor string
	// Units go back to stock; positive.
	Units []order.Delta
	// Refund is what was given back; zero when nothing had been taken.
	Refund order.Money
	// Attempts is how often it was tried to finish it.
	Attempts int
	// Refunded and Restocked say which halves are done.
	Refunded, Restocked bool
	CreatedAt           time.Time
}

// Cancellations keeps the intents.
type Cancellations struct{ db *DB }

// NewCancellations makes the repository.
func NewCancellations(db *DB) *Cancellations { return &Cancellations{db: db} }

// ErrBeingShipped means that the carrier may have the parcel: whether the order can be cancelled is known once it has answered.
var ErrBeingShipped = errors.New("the order is being handed to the carrier")

// Cancel brings an order from one of the states to CANCELLED and writes down that its units and its money go back, in one
// transaction, unless the shipper was faster: that is decided in the order's row. It answers the state that the order had;
// order.ErrNotFound without a row, ErrBeingShipped while the carrier may have it, order.ErrFailedPrecondition when its state is none of those. One
// that is cancelled already is left as it is.
func (c *Cancellations) Cancel(ctx context.Context, id order.ID, from []order.State, reason order.CancelReason, actor string) (was order.State, err error) {
	err = c.db.tx(ctx, func(ctx context.Context, tx *ent.Client) (err error) {
		was, err = c.db.cancel(ctx, tx, id, from, reason, actor)
		return err
	})
	return was, err
}

func (db *DB) cancel(ctx context.Context, tx *ent.Client, id order.ID, from []order.State, reason order.CancelReason, actor string) (order.State, error) {
	var was order.State
	var claimed sql.NullTime
	err := queryRow(ctx, tx, "SELECT state, ship_claimed_at FROM orders WHERE id = ?"+db.forUpdate(), id).Scan(&was, &claimed)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, fmt.Errorf("order %s: %w", id, order.ErrNotFound)
	case err != nil:
		return 0, fmt.Errorf("read order %s: %w", id, err)
	case was == order.Cancelled:
		return was, nil
	case !slices.Contains(from, was) || !was.CanBecome(order.Cancelled):
		return was, fmt.Errorf("the order is %s: %w", was, order.ErrFailedPrecondition)
	case claimed.Valid:
		return was, ErrBeingShipped
	}
	if err := db.move(ctx, tx, order.Cancelled, []order.Event{{Order: order.Order{ID: id}, At: time.Now(), Reason: reason}}); err != nil {
		return was, err
	}
	units, err := itemsOf(ctx, tx, id)
	if err != nil {
		return was, err
	}
	return was, db.insertCancellations(ctx, tx, []Cancellation{{OrderID: id, Reason: reason, Actor: actor, Units: units}})
}

// itemsOf are the units of an order.
func itemsOf(ctx context.Context, tx *ent.Client, id order.ID) ([]order.Delta, error) {
	return collect(ctx, tx, "the items of "+string(id), func(r scanner) (d order.Delta, err error) {
		err = r.Scan(&d.SKU, &d.Units)
		return d, err
	}, "SELECT sku, quantity FROM order_items WHERE order_id = ? ORDER BY sku", id)
}

// Intend writes intents without touching the orders: of orders that are lost, or cancelled already. Those that exist stay, but for units that they lack. An intent
// without units gets those of the order's row, if it has one: their release may be lost with Redis before it is flushed, and SQL
// returns an order's units once.
func (c *Cancellations) Intend(ctx context.Context, intents []Cancellation) error {
	if len(intents) == 0 {
		return nil
	}
	return c.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error {
		complete := slices.Clone(intents)
		for i, x := range complete {
			if len(x.Units) > 0 {
				if err := c.db.addUnits(ctx, tx, x); err != nil {
					return err
				}
				continue
			}
			units, err := itemsOf(ctx, tx, x.OrderID)
			if err != nil {
				return err
			}
			complete[i].Units = units
		}
		return c.db.insertCancellations(ctx, tx, complete)
	})
}

// addUnits completes an intent that was written without units, unless they are back.
func (db *DB) addUnits(ctx context.Context, tx *ent.Client, x Cancellation) error {
	_, err := tx.ExecContext(ctx, "UPDATE order_cancellations SET units = ?, restocked_at = NULL, finished_at = NULL WHERE order_id = ? AND units = '' "+
		"AND NOT EXISTS (SELECT 1 FROM stock_returns r WHERE r.order_id = order_cancellations.order_id)", order.FormatDeltas(x.Units), x.OrderID)
	if err != nil {
		return fmt.Errorf("add the units of order %s to its cancellation: %w", x.OrderID, err)
	}
	return nil
}

func (db *DB) insertCancellations(ctx context.Context, tx *ent.Client, intents []Cancellation) error {
	intents = slices.Clone(intents)
	slices.SortFunc(intents, func(a, b Cancellation) int { return strings.Compare(string(a.OrderID), string(b.OrderID)) })
	now := micro(time.Now())
	returned, err := returnedAmong(ctx, tx, cancellationIDs(intents))
	if err != nil {
		return err
	}
	args := make([]any, 0, 13*len(intents))
	for _, c := range intents {
		var restocked any
		if _, back := returned[c.OrderID]; back || len(c.Units) == 0 {
			restocked = now
		}
		args = append(append(args, c.OrderID), reasonValues(c.Reason)...)
		args = append(args, truncate(c.Actor, 64), order.FormatDeltas(c.Units), 0, "", 0, now, now, restocked)
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO order_cancellations (order_id, "+reasonColumns+", reason, actor, units, refund_amount, refund_currency, attempts, "+
		"next_try_at, created_at, restocked_at) VALUES "+tuples(len(intents), "(?,?,?,?,?,?,?,?,?,?,?,?,?)")+db.orLeave("order_cancellations", "order_id"), args...)
	if err != nil {
		return fmt.Errorf("write %d cancellations: %w", len(intents), err)
	}
	return nil
}

func cancellationIDs(intents []Cancellation) []order.ID {
	out := make([]order.ID, len(intents))
	for i, c := range intents {
		out[i] = c.OrderID
	}
	return out
}

// cancelledAmong are those of the orders that have an intent.
func cancelledAmong(ctx context.Context, tx *ent.Client, ids []order.ID) (map[order.ID]order.CancelReason, error) {
	out := make(map[order.ID]order.CancelReason)
	if len(ids) == 0 {
		return out, nil
	}
	err := each(ctx, tx, "cancellations", func(r scanner) error {
		var id order.ID
		var reason order.CancelReason
		err := r.Scan(append([]any{&id}, reasonFields(&reason)...)...)
		out[id] = withCode(reason)
		return err
	}, "SELECT order_id, "+reasonColumns+", reason FROM order_cancellations WHERE order_id IN ("+marks(len(ids))+")", anys(ids)...)
	return out, err
}
