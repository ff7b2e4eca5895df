package server

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/audit"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// TestPayOrder_CancelledWhileProviderFlaps: each order is cancelled at another moment of its payment, and the provider does every other
// refund only. In the end the provider has nothing that the ledger records as refunded, and the audit passes.
func TestPayOrder_CancelledWhileProviderFlaps(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		s.provider.Flapping.Store(true)
		s.runFlusher(t, s.progress) // It writes the row of an order that is paid before it is cancelled.
		var ids []order.ID
		for i := range 6 {
			placed := s.place(t, string(rune('a'+i)), "")
			ids = append(ids, order.ID(placed.GetId()))
		}
		var wg sync.WaitGroup
		for i, id := range ids {
			wg.Go(func() {
				_, _ = s.checkout.PayOrder(as(t.Context(), "c1"), &spillwayv1.PayOrderRequest{OrderId: string(id), Card: testCard(goodCard)})
			})
			wg.Go(func() {
				timer := time.NewTimer(time.Duration(i) * 2 * time.Millisecond)
				<-timer.C
				o, err := s.checkout.Reader.latest(t.Context(), id)
				if err == nil {
					_, err = s.canceller.Cancel(t.Context(), o, order.CancelReason{Text: "by the customer"}, "c1")
				}
				if err != nil {
					t.Errorf("cancel: %v", err)
				}
			})
		}
		wg.Wait()
		s.runRepairs(t)
		for _, id := range ids {
			s.wantRow(t, string(id), order.Cancelled)
			wantRefunded(t, s.provider, id)
		}
		report, err := audit.Run(t.Context(), store.NewAudits(s.db), audit.Options{Drained: true})
		if err != nil || !report.OK {
			t.Errorf("the audit found %+v (%v)", report.Violations, err)
		}
	})
}

// runRepairs runs the workers that finish payments, as if much time passed between two iterations, until nothing of them is left.
func (s *shopFixture) runRepairs(t *testing.T) {
	t.Helper()
	finisher := workers.NewCancellationFinisher(fakeLaterCancellations{s.cancellations}, s.payments, s.Stock, discardLog)
	refunds := workers.NewRefundRetrier(fakeLaterRefunds{s.ledger}, s.payments, discardLog)
	deadline := time.Now().Add(testWait)
	for {
		_, _ = refunds.RunOnce(t.Context())
		_, _ = finisher.RunOnce(t.Context())
		s.flush(t)
		open, err1 := fakeLaterRefunds{s.ledger}.DueRefunds(t.Context(), time.Now(), 1)
		due, err2 := fakeLaterCancellations{s.cancellations}.Due(t.Context(), time.Now(), 1)
		if err1 == nil && err2 == nil && len(open)+len(due) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still open are the refunds %+v (%v) and cancellations %+v (%v)", open, err1, due, err2)
		}
	}
}

// muchLater is longer than any wait between two attempts.
const muchLater = time.Hour

type fakeLaterRefunds struct{ *store.Charges }

func (l fakeLaterRefunds) DueRefunds(ctx context.Context, now time.Time, limit int) ([]order.Refund, error) {
	return l.Charges.DueRefunds(ctx, now.Add(muchLater), limit)
}

type fakeLaterCancellations struct{ *store.Cancellations }

func (l fakeLaterCancellations) Due(ctx context.Context, now time.Time, limit int) ([]store.Cancellation, error) {
	return l.Cancellations.Due(ctx, now.Add(muchLater), limit)
}
