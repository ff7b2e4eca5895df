package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/pause"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// forgetKey deletes the idempotency record of customer c1's key, as if it had expired.
func (s *shopFixture) forgetKey(t *testing.T, key string) {
	t.Helper()
	c := s.redis.Client()
	if n, err := c.Do(t.Context(), c.B().Del().Key(s.keys.Idempotency("c1", key)).Build()).AsInt64(); err != nil || n != 1 {
		t.Fatalf("forget key %s: %d, %v", key, n, err)
	}
}

// followSQL moves the progress to where another process' flusher brings SQL, until the test ends.
func (s *shopFixture) followSQL(t *testing.T) {
	t.Helper()
	s.runFlusher(t, journal.NewProgress())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for pause.For(ctx, time.Millisecond) == nil {
			if e, err := store.NewStock(s.db).OpenEpoch(ctx, 0); err == nil {
				s.progress.Set(journal.Offset{Epoch: e.Number, ID: e.LastID})
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// TestPlaceOrder_RetryOfAnOrderThatWasGivenUp: an operator discarded the dead letter of the order's event, so that it never gets a row. Its money and
// its units go back, and Redis has only the idempotency record. The retry gets a final answer, and the key makes no second order (I4).
func TestPlaceOrder_RetryOfAnOrderThatWasGivenUp(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		placed := s.place(t, "k1", goodCard)
		id, c := order.ID(placed.GetId()), s.redis.Client()
		if err := c.Do(t.Context(), c.B().Del().Key(s.keys.Order(id)).Build()).Error(); err != nil {
			t.Fatal(err)
		}
		retry := func(want error, reason order.Reason) {
			t.Helper()
			_, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("k1", goodCard))
			var refusal *order.RefusalError
			if !errors.Is(err, want) || !errors.As(err, &refusal) || refusal.Reason != reason {
				t.Errorf("the retry got %v; want %v, %s", err, want, reason)
			}
		}
		retry(order.ErrUnavailable, order.ReasonNotDurableYet) // Its row may be written yet.
		lost := store.Cancellation{OrderID: id, Reason: order.CancelledAs(order.CancelLost, ""), Units: []order.Delta{{SKU: "A", Units: 1}}}
		if err := s.cancellations.Enqueue(t.Context(), []store.Cancellation{lost}); err != nil {
			t.Fatal(err)
		}
		retry(order.ErrFailedPrecondition, order.ReasonOrderCancelled)
		if n := s.provider.Charges.Load(); n != 1 {
			t.Errorf("%d charges; want 1", n)
		}
	})
}

// TestPlaceOrder_RetryAfterCancel: SQL cancelled the paid order, which Redis still has as paid.
func TestPlaceOrder_RetryAfterCancel(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		placed := s.place(t, "k1", goodCard)
		s.flush(t)
		paid, err := s.orders.Get(t.Context(), order.ID(placed.GetId()))
		if err != nil || paid.State != order.Paid {
			t.Fatalf("the order is %s, %v", paid.State, err)
		}
		if _, err := s.canceller.Cancel(t.Context(), paid, order.CancelReason{Text: "by the customer"}, "c1"); err != nil {
			t.Fatal(err)
		}
		for _, done := range []string{"cancelled", "refunded"} {
			if again := s.place(t, "k1", goodCard); again.GetId() != placed.GetId() || again.GetState() != spillwayv1.OrderState_ORDER_STATE_CANCELLED {
				t.Errorf("%s, the retry is answered with %s %s, want the order CANCELLED", done, again.GetId(), again.GetState())
			}
			s.runRepairs(t)
		}
		if n := s.provider.Charges.Load(); n != 1 {
			t.Errorf("the card was charged %d times, want once", n)
		}
	})
}

// TestPlaceOrder_RetryWithOlderRedis: Redis went back to when the charge was in flight; SQL has the order as cancelled, and refunded.
func TestPlaceOrder_RetryWithOlderRedis(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		placed := s.place(t, "k1", "")
		id := order.ID(placed.GetId())
		s.flush(t)
		if _, err := s.cancellations.Cancel(t.Context(), id, []order.State{order.Pending}, order.CancelReason{Text: "expired"}, "test"); err != nil {
			t.Fatal(err)
		}
		if again := s.place(t, "k1", ""); again.GetState() != spillwayv1.OrderState_ORDER_STATE_CANCELLED {
			t.Errorf("the retry is answered with %s, want CANCELLED", again.GetState())
		}
		if _, err := s.checkout.PayOrder(as(t.Context(), "c1"), &spillwayv1.PayOrderRequest{OrderId: string(id), Card: testCard(goodCard)}); !errors.Is(
			err,
			order.ErrFailedPrecondition,
		) {
			t.Errorf("pay: %v; want ErrFailedPrecondition", err)
		}
		if n := s.provider.Charges.Load(); n != 0 {
			t.Errorf("the card was charged %d times", n)
		}
	})
}

// TestPlaceOrder_DuplicateKey: the idempotency record is gone, so that the key makes a second order, which SQL refuses. That request and
// all later ones get the first order, with and without a card, whether this process flushes or another.
func TestPlaceOrder_DuplicateKey(t *testing.T) {
	for name, flush := range map[string]func(s *shopFixture, t *testing.T){
		"own flusher":     func(s *shopFixture, t *testing.T) { s.runFlusher(t, s.progress) },
		"another flusher": func(s *shopFixture, t *testing.T) { s.followSQL(t) },
	} {
		for card, want := range map[string]spillwayv1.OrderState{
			"": spillwayv1.OrderState_ORDER_STATE_PENDING, goodCard: spillwayv1.OrderState_ORDER_STATE_PAID,
		} {
			t.Run(name+map[bool]string{true: ", paid later"}[card == ""], func(t *testing.T) {
				onBothDatabases(t, func(t *testing.T, s *shopFixture) {
					s.sqlDurable()
					flush(s, t)
					first := s.place(t, "k1", card)
					s.forgetKey(t, "k1")
					for _, when := range []string{"the duplicate", "its retry"} {
						if again := s.place(t, "k1", card); again.GetId() != first.GetId() || again.GetState() != want {
							t.Errorf("%s is answered with %s %s, want %s %s", when, again.GetId(), again.GetState(), first.GetId(), want)
						}
					}
					other := placeRequest("k1", card)
					other.Email = "b@example.com"
					if _, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), other); !errors.Is(err, order.ErrKeyReused) {
						t.Errorf("another request with the key: %v; want ErrKeyReused", err)
					}
					for range 2 { // The first reads the record of the other request, which is a duplicate in SQL.
						if again := s.place(t, "k1", card); again.GetId() != first.GetId() || again.GetState() != want {
							t.Errorf("after another request, a retry gets %s %s; want %s %s", again.GetId(), again.GetState(), first.GetId(), want)
						}
					}
					if _, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), other); !errors.Is(err, order.ErrKeyReused) || !strings.Contains(err.Error(), first.GetId()) {
						t.Errorf("the other request again: %v; want ErrKeyReused of %s", err, first.GetId())
					}
				})
			})
		}
	}
}

// fakeBreakingStock is a Redis that breaks off in epoch 7.
type fakeBreakingStock struct {
	Reserver

	sent []stock.Request
}

func (b *fakeBreakingStock) Reserve(_ context.Context, r stock.Request) (stock.Reservation, error) {
	b.sent = append(b.sent, r)
	return stock.Reservation{Offset: journal.Offset{Epoch: 7}}, order.ErrUnknownOutcome
}

// TestCheckout_SendsAgainToTheSameEpoch: in another one the same order would take its units twice.
func TestCheckout_SendsAgainToTheSameEpoch(t *testing.T) {
	b := &fakeBreakingStock{}
	c := &Checkout{Stock: b}
	id := order.NewID(0, time.Now())
	if _, err := c.reserve(t.Context(), draft{Order: order.Order{ID: id}}, true); !errors.Is(err, order.ErrUnknownOutcome) {
		t.Errorf("reserve: %v", err)
	}
	if len(b.sent) != 2 || b.sent[0].Epoch != 0 || b.sent[1].Epoch != 7 || b.sent[1].OrderID != id {
		t.Errorf("sent %+v", b.sent)
	}
}
