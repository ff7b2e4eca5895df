package server

import (
	"path/filepath"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/payment/paymenttest"
	"github.com/spillway/spillway/payment/simulated"
	"github.com/spillway/spillway/store"
)

const (
	goodCard     = "4242424242424242"
	declinedCard = "4000000000000002"
)

func newID() order.ID { return order.NewID(0, time.Now()) }

// newPayment is the service on a ledger in a real database.
func newPayment(t *testing.T) (*payment.Service, *paymenttest.FakeProvider) {
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
	p := &paymenttest.FakeProvider{Provider: simulated.New()}
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

func wantRefunded(t *testing.T, p *paymenttest.FakeProvider, id order.ID) {
	t.Helper()
	outcome, found, err := p.Find(t.Context(), id)
	if err != nil || (found && outcome.Succeeded && !outcome.Refunded) {
		t.Errorf("the provider kept the money of a voided order: %+v, %v", outcome, err)
	}
}
