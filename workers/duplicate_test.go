package workers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// fakeUndo is the stock and the payment service of one order, and records the calls.
type fakeUndo struct {
	revokeErr, voidErr, refundErr error
	calls                         []string
}

func (c *fakeUndo) Revoke(_ context.Context, id order.ID, reason string) (journal.Offset, error) {
	c.calls = append(c.calls, fmt.Sprintf("revoke %s: %s", id, order.ParseCancelReason(reason)))
	return journal.Offset{}, c.revokeErr
}

func (*fakeUndo) Find(context.Context, order.ID) (order.Charge, error) { return order.Charge{}, nil }

func (c *fakeUndo) Void(_ context.Context, id order.ID) error {
	c.calls = append(c.calls, fmt.Sprintf("void %s", id))
	return c.voidErr
}

func (c *fakeUndo) Refund(_ context.Context, id order.ID, reason string) error {
	c.calls = append(c.calls, fmt.Sprintf("refund %s: %s", id, reason))
	return c.refundErr
}

func TestDuplicateCanceller_CostNothing(t *testing.T) {
	charged := fmt.Errorf("it is charged: %w", order.ErrFailedPrecondition)
	const revoke, void, refund = "revoke X: duplicate of Y", "void X", "refund X: duplicate of Y"
	for name, c := range map[string]struct {
		fakeUndo fakeUndo
		want     []string
		err      error
	}{
		"not charged":           {fakeUndo{}, []string{revoke, void}, nil},
		"charged":               {fakeUndo{voidErr: charged}, []string{revoke, void, refund}, nil},
		"unknown to Redis":      {fakeUndo{revokeErr: order.ErrNotFound, voidErr: charged}, []string{revoke, void, refund}, nil},
		"the stock stays away":  {fakeUndo{revokeErr: order.ErrUnavailable}, []string{revoke}, order.ErrUnavailable},
		"the void fails":        {fakeUndo{voidErr: errDown}, []string{revoke, void}, errDown},
		"the refund fails":      {fakeUndo{voidErr: charged, refundErr: errDown}, []string{revoke, void, refund}, errDown},
		"the refund is refused": {fakeUndo{voidErr: charged, refundErr: order.ErrFailedPrecondition}, []string{revoke, void, refund}, order.ErrFailedPrecondition},
	} {
		t.Run(name, func(t *testing.T) {
			d := workers.NewDuplicateCanceller(&c.fakeUndo, &c.fakeUndo)
			for range 2 { // The message comes again: each step is taken again.
				c.fakeUndo.calls = nil
				if err := d.CancelDuplicate(t.Context(), "X", "Y"); !errors.Is(err, c.err) {
					t.Errorf("err = %v; want %v", err, c.err)
				}
				if !slices.Equal(c.fakeUndo.calls, c.want) {
					t.Errorf("did %v; want %v", c.fakeUndo.calls, c.want)
				}
			}
		})
	}
}

// TestDuplicateCanceller_UnitsAreReturnedOnce does it twice on a real Redis, to an order that was settled there.
func TestDuplicateCanceller_UnitsAreReturnedOnce(t *testing.T) {
	s := openShop(t, openSQLite(t))
	o := freshOrder()
	s.reserve(t, o)
	s.settle(t, o)
	d := workers.NewDuplicateCanceller(s.Stock, &fakeUndo{voidErr: order.ErrFailedPrecondition})
	for range 2 {
		if err := d.CancelDuplicate(t.Context(), o.ID, "Y"); err != nil {
			t.Fatal(err)
		}
		left, err := s.Available(t.Context(), []order.SKU{"A", "B"})
		if err != nil || left["A"] != 100 || left["B"] != 100 {
			t.Errorf("left = %v (%v); want all", left, err)
		}
	}
	s.flush(t)
	s.wantStock(t, 100, 100)
}

// TestDuplicateCanceller_LostDuplicateReturnsItsUnits: Redis loses one before its units are returned; those of another one are returned in the next epoch.
func TestDuplicateCanceller_LostDuplicateReturnsItsUnits(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		first, lost, undone := freshOrder(), freshOrder(), freshOrder()
		lost.IdempotencyKey, undone.IdempotencyKey = first.IdempotencyKey, first.IdempotencyKey
		for _, o := range []order.Order{first, lost, undone} {
			s.reserve(t, o)
			s.settle(t, o)
		}
		s.flush(t)
		for _, o := range []order.Order{first, lost, undone} {
			out, err := s.orders.Apply(t.Context(), []order.Event{{Order: o, To: order.Paid, At: at}})
			if err != nil || (len(out.Duplicates) == 1) != (o.ID != first.ID) {
				t.Fatalf("%+v (%v)", out, err)
			}
		}
		s.forget(t, lost.ID)
		s.nextEpoch(t)
		if _, err := s.Revoke(t.Context(), undone.ID, "duplicate"); err != nil {
			t.Fatal(err)
		}
		s.flush(t)
		s.forget(t, undone.ID) // Its record expired.
		ledger, money := store.NewCharges(s.db), newFakePayments(&fakeCrash{})
		t.Cleanup(ledger.Close)
		if _, err := ledger.Record(t.Context(), order.Charge{
			OrderID: first.ID, ChargeID: "ch", State: order.ChargeSucceeded, Amount: order.Money{Currency: first.Currency, Amount: first.Total},
		}); err != nil {
			t.Fatal(err)
		}
		for _, o := range []order.Order{lost, undone} { // As CancelDuplicate does.
			if _, err := ledger.Void(t.Context(), o.ID, string(o.ID), "XXX"); err != nil {
				t.Fatal(err)
			}
		}
		cancellations, unrelayed := store.NewCancellations(s.db), stubEpochList{2}
		worker := workers.NewLostOrders(workers.LostConfig{After: time.Second}, s.sql, ledger, s.Stock, &unrelayed, cancellations, quiet)
		worker.SetClock(func() time.Time { return time.Now().Add(time.Minute) })
		mustRun(t, worker.RunOnce, 1)
		finisher := workers.NewCancellationFinisher(cancellations, money, s.Stock, quiet)
		mustRun(t, finisher.RunOnce, 1)
		s.flush(t)
		s.wantStock(t, 98, 99) // What the first one has.
		// Its orders are of a fixed date.
		if r, err := audit.Run(t.Context(), store.NewAudits(db), audit.Options{MaxPaidAge: 24 * 365 * 100 * time.Hour}); err != nil || r.ViolatedRules() > 0 {
			t.Errorf("the audit found %+v (%v)", r.Violations, err)
		}
	})
}
