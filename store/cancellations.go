package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/spillway/spillway/ent"
	entorder "github.com/spillway/spillway/ent/order"
	"github.com/spillway/spillway/ent/ordercancellation"
	"github.com/spillway/spillway/ent/orderitem"
	"github.com/spillway/spillway/ent/stockreturn"
	"github.com/spillway/spillway/order"
)

// Cancellation is the saga that undoes an order: its money and its units go back, and only then it is finished.
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
	// Refunded and Restocked are the two halves.
	Refunded, Restocked bool
	CreatedAt           time.Time
}

// Cancellations is the outbox of cancellations.
type Cancellations struct{ db *DB }

// NewCancellations makes the repository.
func NewCancellations(db *DB) *Cancellations { return &Cancellations{db: db} }

// ErrBeingShipped means that the carrier may have the parcel: whether the order can be cancelled is known after its response.
var ErrBeingShipped = errors.New("the order is being handed to the carrier")

// Cancel brings an order from one of the states to CANCELLED and writes down that its units and its money go back, in one
// transaction, unless the shipper was faster: that is decided in the order's row. It returns the state that the order had;
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
	row, err := locked(db, tx.Order.Query().Where(entorder.ID(string(id)))).Select(entorder.FieldState, entorder.FieldShipClaimedAt).Only(ctx)
	if ent.IsNotFound(err) {
		return 0, fmt.Errorf("order %s: %w", id, order.ErrNotFound)
	}
	if err != nil {
		return 0, fmt.Errorf("read order %s: %w", id, err)
	}
	was := order.State(row.State)
	switch {
	case was == order.Cancelled:
		return was, nil
	case !slices.Contains(from, was) || !was.CanBecome(order.Cancelled):
		return was, fmt.Errorf("the order is %s: %w", was, order.ErrFailedPrecondition)
	case row.ShipClaimedAt != nil:
		return was, ErrBeingShipped
	}
	err = setReason(tx.Order.Update(), reason).SetCancelReason(truncate(reason.Text, maxReason)).
		SetState(int8(order.Cancelled)).SetUpdatedAt(micro(time.Now())).
		Where(entorder.ID(string(id)), entorder.StateIn(states(order.Cancelled.Predecessors())...)).Exec(ctx)
	if err != nil {
		return was, fmt.Errorf("cancel order %s: %w", id, err)
	}
	units, err := itemsOf(ctx, tx, id)
	if err != nil {
		return was, err
	}
	return was, insertCancellations(ctx, tx, []Cancellation{{OrderID: id, Reason: reason, Actor: actor, Units: units}})
}

// states are the states as SQL keeps them.
func states(in []order.State) []int8 {
	return convert(in, func(s order.State) int8 { return int8(s) })
}

// itemsOf are the units of an order.
func itemsOf(ctx context.Context, tx *ent.Client, id order.ID) ([]order.Delta, error) {
	items, err := tx.OrderItem.Query().Where(orderitem.OrderID(string(id))).Order(orderitem.BySku()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the items of %s: %w", id, err)
	}
	return convert(items, func(i *ent.OrderItem) order.Delta {
		return order.Delta{SKU: order.SKU(i.Sku), Units: int64(i.Quantity)}
	}), nil
}

// enqueueChunk is how many cancellations Enqueue writes in one transaction. SQLite takes 32,766 variables in a statement, about 12 a cancellation, and each
// cancellation costs a statement of its own besides, while a transaction has the 10 s of the SQL policy.
const enqueueChunk = 100

// Enqueue writes cancellations without touching the orders: of orders that are lost, or cancelled already. Those that exist stay, but for units
// that they lack. A cancellation without units gets those of the order's row, if it has one: their release may be lost with Redis before it is flushed, and SQL
// returns an order's units once. It takes any number of cancellations and commits enqueueChunk at once: after an error those of the earlier
// transactions are written, and repeating the call with all of them changes nothing about those.
func (c *Cancellations) Enqueue(ctx context.Context, cancellations []Cancellation) error {
	for chunk := range slices.Chunk(cancellations, enqueueChunk) {
		if err := c.db.tx(ctx, func(ctx context.Context, tx *ent.Client) error { return enqueue(ctx, tx, chunk) }); err != nil {
			return err
		}
	}
	return nil
}

func enqueue(ctx context.Context, tx *ent.Client, cancellations []Cancellation) error {
	complete := slices.Clone(cancellations)
	for i, x := range complete {
		if len(x.Units) > 0 {
			if err := completeUnits(ctx, tx, x); err != nil {
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
	return insertCancellations(ctx, tx, complete)
}

// completeUnits completes a cancellation that was written without units, unless they are back.
func completeUnits(ctx context.Context, tx *ent.Client, x Cancellation) error {
	err := tx.OrderCancellation.Update().Where(ordercancellation.ID(string(x.OrderID)), ordercancellation.Units(""), ordercancellation.Not(unitsReturned)).
		SetUnits(order.FormatDeltas(x.Units)).ClearRestockedAt().ClearFinishedAt().Exec(ctx)
	if err != nil {
		return fmt.Errorf("add the units of order %s to its cancellation: %w", x.OrderID, err)
	}
	return nil
}

// unitsReturned selects the cancellations with units that are back in stock, as stock_returns records it.
func unitsReturned(s *entsql.Selector) {
	exists(s, stockreturn.Table, stockreturn.FieldID, ordercancellation.FieldID)
}

func insertCancellations(ctx context.Context, tx *ent.Client, cancellations []Cancellation) error {
	cancellations = slices.Clone(cancellations)
	slices.SortFunc(cancellations, func(a, b Cancellation) int { return strings.Compare(string(a.OrderID), string(b.OrderID)) })
	now := micro(time.Now())
	returned, err := returnedAmong(ctx, tx, convert(cancellations, func(c Cancellation) order.ID { return c.OrderID }))
	if err != nil {
		return err
	}
	rows := make([]*ent.OrderCancellationCreate, len(cancellations))
	for i, c := range cancellations {
		row := setReason(tx.OrderCancellation.Create(), c.Reason).SetReason(truncate(c.Reason.Text, maxReason)).
			SetID(string(c.OrderID)).SetActor(truncate(c.Actor, maxActor)).SetUnits(order.FormatDeltas(c.Units)).
			SetRefundAmount(0).SetRefundCurrency("").SetAttempts(0).SetNextTryAt(now).SetCreatedAt(now)
		if _, back := returned[c.OrderID]; back || len(c.Units) == 0 {
			row.SetRestockedAt(now)
		}
		rows[i] = row
	}
	err = tx.OrderCancellation.CreateBulk(rows...).OnConflict(onConflictDoNothing(ordercancellation.FieldID)...).Exec(ctx)
	if err != nil {
		return fmt.Errorf("write %d cancellations: %w", len(cancellations), err)
	}
	return nil
}

// maxActor is the length of the columns called actor, in characters.
const maxActor = 64
