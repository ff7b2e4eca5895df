package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

func openLedger(t *testing.T, db *store.DB) *store.Charges {
	t.Helper()
	ledger := store.NewCharges(db)
	t.Cleanup(ledger.Close)
	return ledger
}

// aCharge records a charge of 5 cents in the state.
func aCharge(t *testing.T, ledger *store.Charges, state order.ChargeState) order.ID {
	t.Helper()
	id := order.NewID(0, time.Now())
	_, err := ledger.Record(t.Context(), order.Charge{OrderID: id, ChargeID: string(id), State: state, Amount: order.Money{Currency: "EUR", Amount: 5}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func wantCharge(t *testing.T, ledger *store.Charges, id order.ID, want order.ChargeState) {
	t.Helper()
	if ch, err := ledger.Get(t.Context(), id); err != nil || ch.State != want {
		t.Errorf("the charge is in state %d (%v), want %d", ch.State, err, want)
	}
}

// TestCharges_RefundIsDoneWhenConfirmed: until then the charge is REFUNDING, and the refund becomes due for the worker.
func TestCharges_RefundIsDoneWhenConfirmed(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ledger := openLedger(t, db)
		id := aCharge(t, ledger, order.ChargeSucceeded)
		refund, ch, err := ledger.Refund(t.Context(), id, "r1", "why")
		if err != nil || ch.State != order.ChargeRefunding || refund.Amount.Amount != 5 || !refund.ConfirmedAt.IsZero() {
			t.Fatalf("refund: %+v of %+v, %v", refund, ch, err)
		}
		due := func(in time.Duration) []order.Refund {
			t.Helper()
			found, err := ledger.DueRefunds(t.Context(), time.Now().Add(in), 10)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		if len(due(0)) != 0 || len(due(11*time.Second)) != 1 {
			t.Errorf("%d refunds are due at once and %d later, want 0 and 1", len(due(0)), len(due(11*time.Second)))
		}
		if err := ledger.DeferRefund(t.Context(), "r1", time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if found := due(time.Minute); len(due(30*time.Second)) != 0 || len(found) != 1 || found[0].Attempts != 1 {
			t.Errorf("after a failed attempt %d are due in 30 s and %+v in a minute", len(due(30*time.Second)), found)
		}
		for range 2 {
			if ch, err := ledger.ConfirmRefund(t.Context(), refund); err != nil || ch.State != order.ChargeRefunded {
				t.Errorf("confirm: %+v, %v", ch, err)
			}
		}
		if n, err := store.Count(t.Context(), db, "SELECT COUNT(*) FROM due_mails"); err != nil || n != 0 {
			t.Errorf("%d mails are due (%v); want none for a refund of the shop itself", n, err)
		}
		again, err := ledger.GetRefund(t.Context(), "r1")
		if err != nil || again.ConfirmedAt.IsZero() || len(due(time.Hour)) != 0 {
			t.Errorf("confirmed: %+v (%v); due: %v", again, err, due(time.Hour))
		}
	})
}

func TestCharges_RefundConcurrently(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ledger := openLedger(t, db)
		id := aCharge(t, ledger, order.ChargeSucceeded)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, _, err := ledger.Refund(t.Context(), id, string(order.NewID(0, time.Now())), "why"); err != nil {
					t.Errorf("refund: %v", err)
				}
			})
		}
		wg.Wait()
		if open, err := ledger.OpenRefunds(t.Context(), id); err != nil || len(open) != 1 {
			t.Errorf("%d refunds (%v), want one", len(open), err)
		}
	})
}

// TestCharges_BookLateCharge: what the provider took after the tombstone is in the books, with its refund.
func TestCharges_BookLateCharge(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ledger, cancellations := openLedger(t, db), store.NewCancellations(db)
		for state, want := range map[order.ChargeState]error{
			order.ChargeVoided: nil, order.ChargeDeclined: nil, order.ChargeSucceeded: order.ErrFailedPrecondition, order.ChargePending: order.ErrFailedPrecondition,
		} {
			id := aCharge(t, ledger, state)
			for range 2 {
				_, ch, err := ledger.BookLateCharge(t.Context(), id, order.Money{Currency: "JPY", Amount: 7}, "late-"+string(id)[5:], "late")
				if !errors.Is(err, want) || (err == nil && (ch.State != order.ChargeRefunding || ch.Amount != order.Money{Currency: "JPY", Amount: 7})) {
					t.Errorf("in state %d: %+v, %v; want %v", state, ch, err, want)
				}
			}
		}
		// A cancellation has what was refunded, whether it is noted before or after.
		for _, first := range []bool{true, false} {
			id := aCharge(t, ledger, order.ChargeVoided)
			noted := func() {
				if err := cancellations.Refunded(t.Context(), id, order.Money{}); err != nil {
					t.Fatal(err)
				}
			}
			if err := cancellations.Enqueue(t.Context(), []store.Cancellation{{OrderID: id, Reason: order.CancelReason{Text: "r"}, Actor: "a"}}); err != nil {
				t.Fatal(err)
			}
			if first {
				noted()
			}
			if _, _, err := ledger.BookLateCharge(t.Context(), id, order.Money{Currency: "JPY", Amount: 7}, string(order.NewID(0, time.Now())), "late"); err != nil {
				t.Fatal(err)
			}
			noted()
			due, err := cancellations.Due(t.Context(), time.Now().Add(time.Hour), 10)
			if i := len(due) - 1; err != nil || i < 0 || due[i].Refund != (order.Money{Currency: "JPY", Amount: 7}) {
				t.Errorf("noted first %v: the cancellations are %+v (%v)", first, due, err)
			}
		}
	})
}

// TestCharges_ResolveFromAnotherState changes nothing: a tombstone stays one.
func TestCharges_ResolveFromAnotherState(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ledger := openLedger(t, db)
		for _, state := range []order.ChargeState{order.ChargeSucceeded, order.ChargeDeclined, order.ChargeVoided, order.ChargeRefunding, order.ChargeRefunded} {
			id := aCharge(t, ledger, state)
			ch, err := ledger.Resolve(t.Context(), id, order.ChargePending, order.ChargeSucceeded, "")
			if err != nil || ch.State != state {
				t.Errorf("resolve a charge in state %d as if it were pending: %+v, %v", state, ch, err)
			}
			wantCharge(t, ledger, id, state)
		}
	})
}

func TestCharges_VoidAfterTheMoneyWasTaken(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ledger := openLedger(t, db)
		for _, state := range []order.ChargeState{order.ChargeSucceeded, order.ChargeRefunding, order.ChargeRefunded} {
			id := aCharge(t, ledger, state)
			if _, err := ledger.Void(t.Context(), id, string(id), "XXX"); !errors.Is(err, order.ErrFailedPrecondition) {
				t.Errorf("void a charge in state %d: %v; want ErrFailedPrecondition", state, err)
			}
			wantCharge(t, ledger, id, state)
		}
	})
}

// TestCharges_GroupCommitAnswersEachCaller: concurrent callers share a commit, and each gets the line of its own order.
func TestCharges_GroupCommitAnswersEachCaller(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ledger := openLedger(t, db)
		held := aCharge(t, ledger, order.ChargeVoided) // One that is there makes its whole group go the longer way.
		for _, with := range [][]order.ID{nil, {held}} {
			ids := append([]order.ID{}, with...)
			for range 64 {
				ids = append(ids, order.NewID(0, time.Now()))
			}
			var wg sync.WaitGroup
			for _, id := range ids {
				wg.Go(func() {
					ch, err := ledger.Record(
						t.Context(),
						order.Charge{OrderID: id, ChargeID: string(id), State: order.ChargeSucceeded, Amount: order.Money{Currency: "EUR", Amount: 5}},
					)
					if err != nil || ch.OrderID != id || ch.ChargeID != string(id) || (ch.State == order.ChargeVoided) != (id == held) {
						t.Errorf("the charge of %s was answered with %+v, %v", id, ch, err)
					}
				})
			}
			wg.Wait()
		}
	})
}
