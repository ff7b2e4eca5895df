package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// euroCents is an amount of so many cents.
func euroCents(cents int64) *spillwayv1.Money {
	return &spillwayv1.Money{CurrencyCode: "EUR", Units: cents / 100, Nanos: int32(cents%100) * 10_000_000}
}

func cents(m *spillwayv1.Money) int64 { return m.GetUnits()*100 + int64(m.GetNanos())/10_000_000 }

// refund requests a refund as an operator.
func (s *shopFixture) refund(t *testing.T, id, key string, amount *spillwayv1.Money) (*spillwayv1.RefundOrderResponse, error) {
	t.Helper()
	service := Orders{Changing: s.checkout.Reader, Refunder: s.refunder}
	return service.RefundOrder(as(t.Context(), "ops", auth.Operator), &spillwayv1.RefundOrderRequest{
		OrderId: id, IdempotencyKey: key, Amount: amount, Reason: "scratched",
	})
}

// ship brings the order's row to SHIPPED.
func (s *shopFixture) ship(t *testing.T, id string) {
	t.Helper()
	_, err := s.orders.Ship(t.Context(), []order.Shipment{{OrderID: order.ID(id), TrackingID: "T", ShippedAt: time.Now()}})
	if err != nil {
		t.Fatal(err)
	}
	s.wantRow(t, id, order.Shipped)
}

// wantBooks checks what the provider gave back of the order, and that the audit passes once drained.
func (s *shopFixture) wantBooks(t *testing.T, id string, returned order.Cents) {
	t.Helper()
	outcome, _, err := s.provider.Find(t.Context(), order.ID(id))
	if err != nil || outcome.Returned != returned {
		t.Errorf("the provider gave %d back (%v), want %d", outcome.Returned, err, returned)
	}
	s.confirmAll(t)
	report, err := audit.Run(t.Context(), store.NewAudits(s.db), audit.Options{Drained: true})
	if err != nil || !report.OK {
		t.Errorf("the audit found %+v (%v)", report.Violations, err)
	}
}

// confirmAll notes the confirmations of all paid orders as sent, as the mailer does, which does not run here.
func (s *shopFixture) confirmAll(t *testing.T) {
	t.Helper()
	const all = 1000
	for _, state := range []order.State{order.Paid, order.Shipped, order.ShipFailed} {
		page, err := s.orders.InState(t.Context(), state, store.Cursor{}, time.Now().Add(time.Minute), all)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page {
			if err := store.NewMails(s.db).MarkSent(t.Context(), []order.SentMail{{MailID: order.MailID{OrderID: p.OrderID, Kind: order.MailConfirmation}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRefundOrder_Shipped: in parts and then all that is left, each once.
func TestRefundOrder_Shipped(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		placed := s.place(t, "k1", goodCard) // 12 EUR
		s.flush(t)
		s.ship(t, placed.GetId())
		ids := map[string]bool{}
		for _, step := range []struct {
			key      string
			amount   *spillwayv1.Money
			refunded int64
		}{{"r1", euroCents(300), 300}, {"r1", euroCents(300), 300}, {"r2", euroCents(199), 499}, {"r3", nil, 1200}, {"r3", nil, 1200}, {"r3", euroCents(701), 1200}} {
			resp, err := s.refund(t, placed.GetId(), step.key, step.amount)
			if err != nil || cents(resp.GetOrder().GetRefundedTotal()) != step.refunded || resp.GetRefund().GetConfirmTime() == nil ||
				resp.GetOrder().GetRefundPendingTotal() != nil {
				t.Errorf("refund %s: %v, %v; want %d refunded in all", step.key, resp, err, step.refunded)
			}
			ids[resp.GetRefund().GetId()] = true
		}
		if len(ids) != 3 {
			t.Errorf("%d refunds were made, want 3", len(ids))
		}
		s.wantRow(t, placed.GetId(), order.Shipped)
		s.wantBooks(t, placed.GetId(), 1200)
		if _, err := s.refund(t, placed.GetId(), "r4", euroCents(1)); !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("more than everything: %v; want ErrFailedPrecondition", err)
		}
	})
}

// wantRefundMails takes the mails that are due and checks the amounts of those of refunds, in cents.
func (s *shopFixture) wantRefundMails(t *testing.T, id string, want ...order.Cents) {
	t.Helper()
	due, err := store.NewMails(s.db).LeaseDue(t.Context(), 100, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []order.Cents
	for _, m := range due {
		if _, ok := m.Kind.RefundID(); ok && m.OrderID == order.ID(id) {
			got = append(got, m.Refund.Amount)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("mails of refunds of %v are due; want %v", got, want)
	}
}

// TestRefundOrder_Mails: each refund has one mail with its amount, whether the order is shipped or not. A request that is refused has none.
func TestRefundOrder_Mails(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		placed := s.place(t, "k1", goodCard) // 12 EUR
		s.flush(t)
		must := func(key string, amount *spillwayv1.Money) {
			t.Helper()
			if _, err := s.refund(t, placed.GetId(), key, amount); err != nil {
				t.Fatal(err)
			}
		}
		must("r1", euroCents(300))
		s.wantRefundMails(t, placed.GetId(), 300)
		s.ship(t, placed.GetId())
		must("r1", euroCents(300))
		must("r2", euroCents(300))
		must("r3", nil)
		must("r3", nil)
		s.wantRefundMails(t, placed.GetId(), 300, 300, 600)
		if _, err := s.refund(t, placed.GetId(), "r4", euroCents(1)); !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("more than everything: %v; want ErrFailedPrecondition", err)
		}
		unpaid := s.place(t, "k2", "")
		s.flush(t)
		if _, err := s.refund(t, unpaid.GetId(), "r1", euroCents(1)); !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("an unpaid order: %v; want ErrFailedPrecondition", err)
		}
		s.wantRefundMails(t, unpaid.GetId())
	})
}

// TestRefundOrder_MailWaitsForTheProvider: a refund that is not confirmed has no mail.
func TestRefundOrder_MailWaitsForTheProvider(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		placed := s.place(t, "k1", goodCard)
		s.flush(t)
		s.provider.Failing.Store(true)
		if _, err := s.refund(t, placed.GetId(), "r1", euroCents(300)); err != nil {
			t.Fatal(err)
		}
		s.wantRefundMails(t, placed.GetId())
		s.provider.Failing.Store(false)
		s.runRepairs(t)
		s.runRepairs(t)
		s.wantRefundMails(t, placed.GetId(), 300)
	})
}

// TestRefundOrder_ProviderRefuses: the refund is booked, pending, and confirmed by the worker.
func TestRefundOrder_ProviderRefuses(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		placed := s.place(t, "k1", goodCard)
		s.flush(t)
		s.provider.Failing.Store(true)
		resp, err := s.refund(t, placed.GetId(), "r1", euroCents(300))
		if err != nil || cents(resp.GetOrder().GetRefundPendingTotal()) != 300 || resp.GetOrder().GetRefundedTotal() != nil ||
			resp.GetRefund().GetConfirmTime() != nil {
			t.Errorf("refund: %v, %v; want 300 pending", resp, err)
		}
		s.provider.Failing.Store(false)
		s.runRepairs(t)
		s.wantBooks(t, placed.GetId(), 300)
		if o, err := s.orders.Get(t.Context(), order.ID(placed.GetId())); err != nil || o.Refunded != 300 || o.RefundPending != 0 || o.State != order.Paid {
			t.Errorf("the order is %s with %d refunded and %d pending (%v)", o.State, o.Refunded, o.RefundPending, err)
		}
	})
}

// TestRefundOrder_ThenCancelled: the cancellation gives the rest back.
func TestRefundOrder_ThenCancelled(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		placed := s.place(t, "k1", goodCard)
		s.flush(t)
		if _, err := s.refund(t, placed.GetId(), "r1", euroCents(300)); err != nil {
			t.Fatal(err)
		}
		paid, err := s.orders.Get(t.Context(), order.ID(placed.GetId()))
		if err == nil {
			_, err = s.canceller.Cancel(t.Context(), paid, order.CancelReason{Text: "by the customer"}, "c1")
		}
		if err != nil {
			t.Fatal(err)
		}
		s.runRepairs(t)
		s.wantRow(t, placed.GetId(), order.Cancelled)
		s.wantBooks(t, placed.GetId(), 1200)
	})
}

// TestRefundOrder_Nonsense changes nothing; the error names what to do.
func TestRefundOrder_Nonsense(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		paid, pending, cancelled, shipped := s.place(t, "paid", goodCard), s.place(t, "pending", ""), s.place(t, "cancelled", ""), s.place(t, "shipped", goodCard)
		if _, err := s.canceller.Cancel(t.Context(), order.Order{ID: order.ID(cancelled.GetId()), State: order.Pending}, order.CancelReason{Text: "by the customer"}, "c1"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.refund(t, paid.GetId(), "early", euroCents(1)); !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("before its row is there: %v; want ErrUnavailable", err)
		}
		s.flush(t)
		s.ship(t, shipped.GetId())
		if _, err := s.refund(t, shipped.GetId(), "used", euroCents(100)); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			id, key string
			amount  *spillwayv1.Money
			want    error
			text    string
		}{
			"nothing":                  {paid.GetId(), "r", euroCents(0), order.ErrInvalid, "above 0"},
			"less than nothing":        {paid.GetId(), "r", euroCents(-100), order.ErrInvalid, "above 0"},
			"another currency":         {paid.GetId(), "r", &spillwayv1.Money{CurrencyCode: "USD", Units: 1}, order.ErrInvalid, "EUR"},
			"no currency":              {paid.GetId(), "r", &spillwayv1.Money{Units: 1}, order.ErrInvalid, ""},
			"more than was paid":       {paid.GetId(), "r", euroCents(1201), order.ErrFailedPrecondition, "12.00"},
			"more than is left":        {shipped.GetId(), "r", euroCents(1101), order.ErrFailedPrecondition, "11.00"},
			"all of one not shipped":   {paid.GetId(), "r", nil, order.ErrFailedPrecondition, "CancelOrder"},
			"its total, not shipped":   {paid.GetId(), "r", euroCents(1200), order.ErrFailedPrecondition, "CancelOrder"},
			"one that is not paid":     {pending.GetId(), "r", euroCents(1), order.ErrFailedPrecondition, "not paid"},
			"one that is cancelled":    {cancelled.GetId(), "r", euroCents(1), order.ErrFailedPrecondition, "cancelled"},
			"an unknown order":         {string(newID()), "r", euroCents(1), order.ErrNotFound, "no order"},
			"an id of nothing":         {"x", "r", euroCents(1), order.ErrNotFound, "no order"},
			"no key":                   {paid.GetId(), "", euroCents(1), order.ErrInvalid, "Idempotency-Key"},
			"a key of another amount":  {shipped.GetId(), "used", euroCents(101), order.ErrKeyReused, "1.00"},
			"a key, for all this time": {shipped.GetId(), "used", nil, order.ErrKeyReused, "1.00"},
		} {
			_, err := s.refund(t, c.id, c.key, c.amount)
			if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.text) {
				t.Errorf("%s: %v; want %v with %q", name, err, c.want, c.text)
			}
		}
		s.wantBooks(t, paid.GetId(), 0)
	})
}

// TestRefundOrder_Concurrently: of refunds that are too much together, some are refused.
func TestRefundOrder_Concurrently(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		placed := s.place(t, "k1", goodCard)
		s.flush(t)
		s.ship(t, placed.GetId())
		done := make(chan error)
		for i := range 5 {
			go func() {
				_, err := s.refund(t, placed.GetId(), fmt.Sprint("r", i), euroCents(500))
				done <- err
			}()
		}
		made := 0
		for range 5 {
			err := <-done
			if err == nil {
				made++
			} else if !errors.Is(err, order.ErrFailedPrecondition) {
				t.Errorf("refund: %v", err)
			}
		}
		if made != 2 {
			t.Errorf("%d refunds of 5 EUR were made of 12 EUR, want 2", made)
		}
		s.wantBooks(t, placed.GetId(), 1000)
	})
}
