package server

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/payment/simulated"
	"github.com/spillway/spillway/store"
)

const (
	goodCard     = "4242424242424242"
	declinedCard = "4000000000000002"
)

// fakeProvider is the simulated one with faults of the test's choice.
type fakeProvider struct {
	*simulated.Provider
	charges, refunds atomic.Int64
	// lost: the money is taken but the answer does not arrive. away: nothing is charged. silent: no call is answered.
	lost, away, silent atomic.Bool
	// refusing: no refund is done. flapping: the first, the third and so on are not.
	refusing, flapping atomic.Bool
	// during runs inside a charge, before the provider acts, and after behind it.
	during, after func()
}

var errAway = errors.New("the provider does not answer")

func (p *fakeProvider) Charge(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (payment.Outcome, error) {
	return p.ChargeAgain(ctx, id, 1, amount, card)
}

func (p *fakeProvider) ChargeAgain(ctx context.Context, id order.ID, attempt int, amount order.Money, card payment.Card) (payment.Outcome, error) {
	p.charges.Add(1)
	if p.during != nil {
		p.during()
	}
	if p.away.Load() || p.silent.Load() {
		return payment.Outcome{}, errAway
	}
	outcome, err := p.Provider.ChargeAgain(ctx, id, attempt, amount, card)
	if p.after != nil {
		p.after()
	}
	if p.lost.Load() {
		return payment.Outcome{}, errAway
	}
	return outcome, err
}

func (p *fakeProvider) Find(ctx context.Context, id order.ID) (payment.Outcome, bool, error) {
	if p.silent.Load() {
		return payment.Outcome{}, false, errAway
	}
	return p.Provider.Find(ctx, id)
}

func (p *fakeProvider) Refund(ctx context.Context, id order.ID, refundID string, amount order.Money) error {
	n := p.refunds.Add(1)
	if p.refusing.Load() || p.flapping.Load() && n%2 == 1 {
		return errAway
	}
	return p.Provider.Refund(ctx, id, refundID, amount)
}

func newID() order.ID { return order.NewID(0, time.Now()) }

// newPayment is the service on a ledger in a real database.
func newPayment(t *testing.T) (*payment.Service, *fakeProvider) {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	ledger := store.NewCharges(db)
	t.Cleanup(func() {
		ledger.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	p := &fakeProvider{Provider: simulated.New()}
	return &payment.Service{Provider: p, Ledger: ledger, Now: time.Now}, p
}

// wantState compares the state that GetCharge returns.
func wantState(t *testing.T, p *payment.Service, id order.ID, want spillwayv1.ChargeState) {
	t.Helper()
	resp, err := p.GetCharge(t.Context(), &spillwayv1.GetChargeRequest{OrderId: string(id)})
	if err != nil || resp.GetCharge().GetState() != want {
		t.Errorf("charge of the order = %v, %v; want %v", resp.GetCharge().GetState(), err, want)
	}
}

func wantRefunded(t *testing.T, p *fakeProvider, id order.ID) {
	t.Helper()
	outcome, found, err := p.Find(t.Context(), id)
	if err != nil || (found && outcome.Succeeded && !outcome.Refunded) {
		t.Errorf("the provider kept the money of a voided order: %+v, %v", outcome, err)
	}
}
