package server

import (
	"slices"
	"strings"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

func timelineNames(steps []*spillwayv1.OrderStep) (out []string) {
	for _, s := range steps {
		name := strings.ToLower(strings.TrimPrefix(s.GetKind().String(), "ORDER_STEP_KIND_"))
		if s.GetState() != timelineDone {
			name += " " + strings.ToLower(strings.TrimPrefix(s.GetState().String(), "ORDER_STEP_STATE_"))
		}
		out = append(out, name)
	}
	return out
}

// TestTimeline_Steps has clocks that differ: a carrier whose parcels leave before they were ordered.
func TestTimeline_Steps(t *testing.T) {
	o := orderOf("me", order.Shipped, time.Hour)
	at := func(d time.Duration) time.Time { return o.CreatedAt.Add(d) }
	taken := order.Charge{State: order.ChargeSucceeded, Attempt: 1, CreatedAt: at(time.Second), UpdatedAt: at(time.Second)}
	pending, cancelled, failed := o, o, o
	pending.State, cancelled.State, failed.State = order.Pending, order.Cancelled, order.ShipFailed
	cancelled.UpdatedAt = at(time.Minute)
	for name, c := range map[string]struct {
		t    timeline
		want []string
	}{
		"shipped, by an early clock": {timeline{order: o, paid: orderPayment{charge: taken}, facts: store.OrderFacts{
			Written: true, ClaimedAt: at(2 * time.Second), Shipment: &order.Shipment{ShippedAt: at(-time.Minute), TrackingID: "T"},
			Mails: []store.MailFact{{Kind: order.MailConfirmation, Sent: true, At: at(3 * time.Second)}, {Kind: order.MailShipped, At: at(4 * time.Second)}},
		}}, []string{"reserved", "charged", "settled", "written", "claimed", "shipped", "mailed", "mailed waiting"}},
		"a mail that is skipped": {timeline{order: failed, paid: orderPayment{charge: taken}, facts: store.OrderFacts{
			Written: true, Mails: []store.MailFact{{Kind: order.MailConfirmation, Skipped: order.SkipRecipientLimit, At: at(3 * time.Second)}},
		}}, []string{"reserved", "charged", "settled", "written", "shipped failed", "mailed failed"}},
		"waits for the provider": {timeline{order: pending, paid: orderPayment{known: true}}, []string{"reserved", "charged waiting", "written waiting"}},
		"declined": {timeline{order: pending, paid: orderPayment{charge: order.Charge{State: order.ChargeDeclined, UpdatedAt: at(1)}}}, []string{
			"reserved", "charged failed", "written waiting",
		}},
		"not taken by the carrier": {timeline{order: failed, paid: orderPayment{charge: taken}, facts: store.OrderFacts{Written: true, DeadLetters: []store.DeadLetter{
			{ID: 7, Status: store.DeadLetterOpen, CreatedAt: at(5 * time.Second)},
		}}}, []string{"reserved", "charged", "settled", "written", "shipped failed", "dead_letter waiting"}},
		"cancelled and refunded": {timeline{order: cancelled, paid: orderPayment{
			charge:  order.Charge{State: order.ChargeRefunding, CreatedAt: at(time.Second), UpdatedAt: at(time.Hour)},
			refunds: []order.Refund{{RefundID: "R", CreatedAt: at(2 * time.Minute)}},
		}, facts: store.OrderFacts{Written: true, Cancellation: &store.CancellationFact{CreatedAt: at(time.Minute)}, ReturnedAt: at(3 * time.Minute)}}, []string{
			"reserved", "charged", "written", "cancelled", "refund_requested", "refunded waiting", "restocked",
		}},
	} {
		steps := c.t.messages()
		if got := timelineNames(steps); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q; want %q", name, got, c.want)
		}
		for _, s := range steps {
			if s.GetSincePrevious().AsDuration() < 0 || s.GetSinceStart().AsDuration() < 0 || (s.GetTime() == nil) != (s.GetSinceStart() == nil) {
				t.Errorf("%s: %v has a negative duration, or one without a time", name, s)
			}
		}
	}
}

// TestGetOrderTimeline_RealOrder follows an order that is cancelled after it was paid.
func TestGetOrderTimeline_RealOrder(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		o := s.place(t, "timeline", goodCard)
		s.flush(t)
		reader := OrderReader{Hot: s.Stock, Rows: s.orders, Log: discardLog}
		service := Orders{Reader: reader, Changing: reader, Canceller: s.canceller, Ledger: store.NewLedgerReader(s.db), Facts: s.orders}
		ctx := as(t.Context(), "op", "operator")
		read := func() *spillwayv1.GetOrderTimelineResponse {
			t.Helper()
			got, err := service.GetOrderTimeline(ctx, &spillwayv1.GetOrderTimelineRequest{OrderId: o.GetId()})
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		got := read()
		if want := []string{"reserved", "charged", "settled", "written", "shipped waiting"}; !slices.Equal(timelineNames(got.GetSteps()), want) {
			t.Errorf("paid: %q; want %q", timelineNames(got.GetSteps()), want)
		}
		if got.GetPayment().GetState() != spillwayv1.ChargeState_CHARGE_STATE_SUCCEEDED || got.GetPayment().GetAmount() == nil {
			t.Errorf("the payment is %v", got.GetPayment())
		}
		if _, err := service.CancelOrder(ctx, &spillwayv1.CancelOrderRequest{OrderId: o.GetId(), Reason: "a test"}); err != nil {
			t.Fatal(err)
		}
		steps := timelineNames(read().GetSteps())
		if !slices.Contains(steps, "cancelled") || !slices.Contains(steps, "restocked waiting") || slices.Contains(steps, "shipped waiting") {
			t.Errorf("cancelled: %q", steps)
		}
	})
}
