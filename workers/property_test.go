package workers_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// lives are the sequences in which an order's events may arrive; the last event of each is the order's final state. A relay omits
// a reservation that was settled in the same batch.
var lives = [][]spillwayv1.OrderEventKind{
	{reserved}, {reserved, settled}, {reserved, released}, {settled}, {released},
}

// faults fails calls according to the plan, until the plan is used up.
func faults(plan []bool) func() error {
	return func() error {
		if len(plan) == 0 {
			return nil
		}
		fails := plan[0]
		plan = plan[1:]
		if fails {
			return errDown
		}
		return nil
	}
}

// TestOrderWriter_AnySequenceOfEventsMakesTheSameRows writes the same events twice: to one database in their own sequence and once, to
// the other shuffled, repeated, regrouped, and by a writer that dies before and after its commits and before its
// acknowledgements (I7, I8).
func TestOrderWriter_AnySequenceOfEventsMakesTheSameRows(t *testing.T) {
	t.Parallel()
	inOrder, shuffled := openSQLite(t), openSQLite(t)
	plan := rapid.SliceOfN(rapid.Bool(), 0, 4)
	rapid.Check(t, func(r *rapid.T) {
		var ids []order.ID
		var steps []*spillwayv1.OrderEvent
		for range rapid.IntRange(1, 3).Draw(r, "orders") {
			o := freshOrder()
			ids = append(ids, o.ID)
			for _, kind := range rapid.SampledFrom(lives).Draw(r, "life") {
				steps = append(steps, event(o, kind))
			}
		}
		straight := newWriterFixture(inOrder, nil, 100, body(steps...))
		if _, err := straight.RunOnce(t.Context()); err != nil {
			r.Fatalf("in order: %v", err)
		}

		var copies []*spillwayv1.OrderEvent
		for _, e := range steps {
			for range rapid.IntRange(1, 2).Draw(r, "copies") {
				copies = append(copies, e)
			}
		}
		copies = rapid.Permutation(copies).Draw(r, "sequence")
		d := newWriterFixture(shuffled, nil, rapid.IntRange(1, 5).Draw(r, "rows"))
		for len(copies) > 0 {
			n := rapid.IntRange(1, len(copies)).Draw(r, "message")
			d.in.put(body(copies[:n]...))
			copies = copies[n:]
		}
		d.orders.before, d.orders.after = faults(plan.Draw(r, "before")), faults(plan.Draw(r, "after"))
		d.in.ackErr = faults(plan.Draw(r, "ack"))
		for iterations := 0; d.in.left() > 0; iterations++ {
			if _, err := d.RunOnce(t.Context()); (err != nil && !errors.Is(err, errDown)) || iterations > 100 {
				r.Fatalf("iteration %d: %v", iterations, err)
			}
		}

		for _, id := range ids {
			want, got := rowOf(t, inOrder, id), rowOf(t, shuffled, id)
			if got != want {
				r.Fatalf("the row is %s\nin order it is %s", got, want)
			}
		}
		if len(d.cancel.calls) != 0 || len(d.hot.early) != 0 {
			r.Fatalf("cancelled %v, expired before SQL held it %v", d.cancel.calls, d.hot.early)
		}
	})
	if n := len(deadLetters(t, shuffled)); n != 0 {
		t.Errorf("%d letters", n)
	}
}

func rowOf(t *testing.T, db *store.DB, id order.ID) string {
	t.Helper()
	o, err := store.NewOrders(db).Get(t.Context(), id)
	return fmt.Sprintf("%+v (%v)", o, err)
}
