package server

import (
	"context"
	"errors"
	"testing"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// fakeLateAdjustments is SQL's record of adjustments. Something else happens once, right after it was read.
type fakeLateAdjustments struct {
	*store.Stock

	then func()
}

func (f *fakeLateAdjustments) FindAdjustment(ctx context.Context, id string) (order.Adjustment, error) {
	a, err := f.Stock.FindAdjustment(ctx, id)
	if then := f.then; then != nil {
		f.then = nil
		then()
	}
	return a, err
}

// TestAdjustments_LostByRedisAfterSQLWasRead sends an adjustment again while the first attempt is flushed, Redis loses its data, and the counters
// are rebuilt from SQL. The second attempt read SQL before that. It must not raise the counter a second time: SQL never would (I1, I2).
func TestAdjustments_LostByRedisAfterSQLWasRead(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		inSQL := store.NewStock(s.db)
		adj := order.Adjustment{ID: "delivery", SKU: "A", Units: 5, Reason: "r", Actor: "op"}
		if got := s.left(t); got != 100 { // It also makes the counter.
			t.Fatalf("%d left; want 100", got)
		}
		again := &fakeLateAdjustments{Stock: inSQL, then: func() {
			if _, _, err := s.Adjust(t.Context(), 1, adj); err != nil {
				t.Fatal(err)
			}
			s.flush(t)
			s.clean(t)
			if err := s.epochs.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
		}}
		a := Adjustments{Counters: s.Stock, Store: again, Available: s, InSQL: func(context.Context, journal.Offset) error { return nil }}
		if _, err := a.Adjust(t.Context(), adj); !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("sent again while Redis lost it: %v; want ErrUnavailable", err)
		}
		if left, err := a.Adjust(t.Context(), adj); err != nil || left != 105 {
			t.Errorf("sent a third time: %d left (%v); want 105", left, err)
		}
		if got := s.left(t); got != 105 {
			t.Errorf("Redis would sell %d; SQL has 105", got)
		}
	})
}
