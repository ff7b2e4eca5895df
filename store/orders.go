package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spillway/spillway/ent"
	"github.com/spillway/spillway/order"
)

// Orders keeps orders and their items.
type Orders struct{ db *DB }

// NewOrders makes the repository.
func NewOrders(db *DB) *Orders { return &Orders{db: db} }

// Outcome is what a set of events did not do.
type Outcome struct {
	// Refused are the steps that the order's state does not allow. One that was taken before is not among them.
	Refused []Refusal
	// Duplicates are the orders with the key of another order; they were written as CANCELLED.
	Duplicates []Duplicate
	// ReturnedBefore are the orders with a second return of their units: Redis has lost that they were.
	ReturnedBefore []order.ID
	// NotCancelled are the orders with a restock that was not applied, because SQL has no cancellation of them: it lost it with its last commits.
	NotCancelled []order.ID
}

// Refusal is a step that was refused.
type Refusal struct {
	ID       order.ID
	From, To order.State
}

// Duplicate is an order that came with another order's key.
type Duplicate struct{ ID, Of order.ID }

// Apply writes the changes in one transaction: orders that are missing are inserted in the state that their last step
// brings about, and existing ones move along the table of states (I7). It may be called with the same changes again, in
// any order and any grouping, with the same rows as the outcome (I8).
func (o *Orders) Apply(ctx context.Context, changes []order.Event) (Outcome, error) {
	var out Outcome
	err := o.db.tx(ctx, func(ctx context.Context, tx *ent.Client) (err error) {
		out, err = o.db.applyOrders(ctx, tx, changes)
		return err
	})
	return out, err
}

// drains reports whether an event of the drain may bring an order from one state to another: only a pending order is paid or
// cancelled by an event. A paid one is cancelled with a refund, which is decided in SQL.
func drains(from, to order.State) bool { return from == order.Pending && from.CanBecome(to) }

// fold makes one change of each order: the last step that was taken. Of two that exclude each other the payment stands,
// because money was taken.
func fold(changes []order.Event) ([]order.Event, []Refusal) {
	byID := make(map[order.ID]order.Event, len(changes))
	var refused []Refusal
	for _, c := range changes {
		seen, ok := byID[c.Order.ID]
		switch {
		case !ok || drains(seen.To, c.To):
			byID[c.Order.ID] = c
		case seen.To == c.To || drains(c.To, seen.To):
		case c.To == order.Paid:
			byID[c.Order.ID] = c
			refused = append(refused, Refusal{ID: c.Order.ID, From: c.To, To: seen.To})
		default:
			refused = append(refused, Refusal{ID: c.Order.ID, From: seen.To, To: c.To})
		}
	}
	out := make([]order.Event, 0, len(byID))
	for _, c := range byID {
		out = append(out, c)
	}
	// Rows are written in one sequence by everyone, so that two writers do not deadlock.
	slices.SortFunc(out, func(a, b order.Event) int { return strings.Compare(string(a.Order.ID), string(b.Order.ID)) })
	return out, refused
}

// row is what SQL holds of an order.
type row struct {
	state  order.State
	reason order.CancelReason
}

func (db *DB) applyOrders(ctx context.Context, tx *ent.Client, changes []order.Event) (Outcome, error) {
	if len(changes) == 0 {
		return Outcome{}, nil
	}
	folded, refused := fold(changes)
	out := Outcome{Refused: refused}
	held, err := db.lockRows(ctx, tx, ids(folded))
	if err != nil {
		return Outcome{}, err
	}
	var missing []order.Event
	moves := map[order.State][]order.Event{}
	for _, c := range folded {
		r, ok := held[c.Order.ID]
		switch {
		case !ok:
			missing = append(missing, c)
		case r.reason.Code == order.CancelDuplicate:
			out.Duplicates = append(out.Duplicates, Duplicate{ID: c.Order.ID, Of: r.reason.DuplicateOf})
			if c.To == order.Paid {
				out.Refused = append(out.Refused, Refusal{ID: c.Order.ID, From: r.state, To: c.To})
			}
		case drains(r.state, c.To):
			moves[c.To] = append(moves[c.To], c)
		case c.To == order.Cancelled && r.state != order.Cancelled, !r.state.Follows(c.To):
			out.Refused = append(out.Refused, Refusal{ID: c.Order.ID, From: r.state, To: c.To})
		}
	}
	for _, to := range order.States() {
		if err := db.move(ctx, tx, to, moves[to]); err != nil {
			return Outcome{}, err
		}
	}
	duplicates, err := db.insertOrders(ctx, tx, missing)
	out.Duplicates = append(out.Duplicates, duplicates...)
	return out, err
}

func ids(changes []order.Event) []order.ID {
	out := make([]order.ID, len(changes))
	for i, c := range changes {
		out[i] = c.Order.ID
	}
	return out
}

// truncate keeps a text within n characters.
func truncate(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

// micro is the time as SQL keeps it.
func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func anys[T any](in []T) []any {
	out := make([]any, len(in))
	for i, v := range in {
		out[i] = v
	}
	return out
}
