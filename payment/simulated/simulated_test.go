package simulated

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
)

// twelve is EUR 12.00.
var twelve = order.Money{Currency: "EUR", Amount: 1200}

func newID() order.ID { return order.NewID(0, time.Now()) }

// goodCard returns an unexpired card with the number.
func goodCard(number string) payment.Card { return payment.NewCard(number, "123", 2099, 1) }

// forEachStore runs the test on a provider with outcomes in memory, and on one with outcomes in a file.
func forEachStore(t *testing.T, test func(t *testing.T, s *Provider)) {
	t.Run("in memory", func(t *testing.T) { test(t, New()) })
	t.Run("in a file", func(t *testing.T) { test(t, openFile(t, filepath.Join(t.TempDir(), "provider.db"))) })
}

// openFile opens a provider with outcomes in a file, until the test ends.
func openFile(t *testing.T, path string) *Provider {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// stubSleep makes the provider add the durations of its sleeps to slept instead of sleeping.
func stubSleep(s *Provider, slept *time.Duration) *Provider {
	s.sleep = func(_ context.Context, d time.Duration) error {
		*slept += d
		return nil
	}
	return s
}

func TestProvider_TestCards(t *testing.T) {
	cards := map[string]string{
		"4242424242424242": "", "5555555555554444": "", "378282246310005": "", "4432801561520454": "", cardSlow: "", "6011111111111117": "",
		"4000000000000002": "generic_decline", "4000000000009995": "insufficient_funds", "4000000000009987": "lost_card",
		"4000000000009979": "stolen_card", "4000000000000069": "expired_card", "4000000000000127": "incorrect_cvc",
		"4000000000000119": "processing_error", "4242424242424241": "incorrect_number", "": "incorrect_number",
	}
	forEachStore(t, func(t *testing.T, s *Provider) {
		for number, code := range cards {
			var slept time.Duration
			id := newID()
			got, err := stubSleep(s, &slept).Charge(t.Context(), id, twelve, goodCard(number))
			want := payment.Outcome{Amount: twelve, Succeeded: code == "", DeclineCode: code, Attempt: 1}
			if err != nil || got != want {
				t.Errorf("card %s: %+v, %v; want %+v", number, got, err, want)
			}
			if found, ok, err := s.Find(t.Context(), id); !ok || err != nil || found != want {
				t.Errorf("card %s was found as %+v, %v, %v", number, found, ok, err)
			}
			if (slept > 0) != (number == cardSlow) {
				t.Errorf("card %s took %s", number, slept)
			}
		}
	})
	if slowCharge >= breaker.DefaultPolicies()[breaker.Payment].Timeout {
		t.Errorf("the slow card takes %s, more than the timeout of a payment", slowCharge)
	}
}

func TestProvider_ExpiredCard(t *testing.T) {
	s := New()
	s.now = func() time.Time { return time.Date(2030, 7, 1, 0, 0, 0, 0, time.UTC) }
	got, err := s.Charge(t.Context(), newID(), twelve, payment.NewCard("4242424242424242", "123", 2030, 6))
	if err != nil || got.Succeeded || got.DeclineCode != "expired_card" {
		t.Errorf("%+v, %v", got, err)
	}
}

// callerTimeout is the timeout of callers that get no response. The provider stores the outcome in less time.
const callerTimeout = time.Second

func TestProvider_CardsWithoutAResponse(t *testing.T) {
	forEachStore(t, func(t *testing.T, s *Provider) {
		for number, charged := range map[string]bool{cardNoResponse: false, cardResponseLost: true} {
			id := newID()
			ctx, cancel := context.WithTimeout(t.Context(), callerTimeout)
			_, err := s.Charge(ctx, id, twelve, goodCard(number))
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("card %s returned %v", number, err)
			}
			if o, found, err := s.Find(t.Context(), id); found != charged || o.Succeeded != charged || err != nil {
				t.Errorf("card %s: found %+v, %v, %v", number, o, found, err)
			}
		}
		id := newID()
		if _, err := s.Charge(t.Context(), id, twelve, goodCard(cardProviderDown)); !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("a provider that is down: %v", err)
		}
		if _, found, _ := s.Find(t.Context(), id); found {
			t.Error("a provider that is down charged a card")
		}
	})
}

func TestProvider_ChargeAndRefundAreIdempotent(t *testing.T) {
	forEachStore(t, func(t *testing.T, s *Provider) {
		id := newID()
		first, err := s.Charge(t.Context(), id, twelve, goodCard("4242424242424242"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.Charge(t.Context(), id, order.Money{Currency: "EUR", Amount: 1}, goodCard(cardDeclined))
		if err != nil || again != first {
			t.Errorf("the second charge returned %+v, %v; want %+v", again, err, first)
		}
		for range 2 {
			if err := s.Refund(t.Context(), id, "r1", twelve); err != nil {
				t.Fatal(err)
			}
		}
		if o, _, _ := s.Find(t.Context(), id); !o.Refunded || !o.Succeeded || o.Returned != twelve.Amount {
			t.Errorf("after the refund: %+v", o)
		}
		if err := s.Refund(t.Context(), newID(), "r2", twelve); err != nil {
			t.Errorf("a refund of an unknown charge: %v", err)
		}
	})
}

func TestProvider_PartialRefunds(t *testing.T) {
	forEachStore(t, func(t *testing.T, s *Provider) {
		id := newID()
		if _, err := s.Charge(t.Context(), id, twelve, goodCard("4242424242424242")); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			refundID string
			amount   order.Cents
			want     error
			returned order.Cents
		}{
			{"r1", 500, nil, 500},
			{"r1", 500, nil, 500},
			{"r2", 701, order.ErrFailedPrecondition, 500},
			{"r2", 700, nil, 1200},
			{"r3", 1, nil, 1200}, // Nothing is left to refund.
		} {
			err := s.Refund(t.Context(), id, step.refundID, order.Money{Currency: "EUR", Amount: step.amount})
			o, _, ferr := s.Find(t.Context(), id)
			if !errors.Is(err, step.want) || ferr != nil || o.Returned != step.returned || o.Refunded != (step.returned == twelve.Amount) {
				t.Errorf("refund %s of %d: %v, then %+v (%v); want %v and %d returned", step.refundID, step.amount, err, o, ferr, step.want, step.returned)
			}
		}
	})
}

func TestProvider_Statement(t *testing.T) {
	forEachStore(t, func(t *testing.T, s *Provider) {
		var ids []order.ID
		for range 5 {
			ids = append(ids, newID())
			if _, err := s.Charge(t.Context(), ids[len(ids)-1], twelve, goodCard("4242424242424242")); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Refund(t.Context(), ids[3], "r1", order.Money{Currency: "EUR", Amount: 100}); err != nil {
			t.Fatal(err)
		}
		var statement payment.Statement = s
		var listed []order.ID
		returned := map[order.ID]order.Cents{}
		for after := order.ID(""); ; {
			page, err := statement.Statement(t.Context(), after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, l := range page {
				listed, returned[l.OrderID], after = append(listed, l.OrderID), l.Returned, l.OrderID
			}
		}
		slices.Sort(ids)
		if !slices.Equal(listed, ids) || len(returned) != 5 {
			t.Errorf("listed %v with %v returned; want %v", listed, returned, ids)
		}
	})
}

// TestOpen_SharedFile makes concurrent charges for one order. One is made, and all processes get its outcome.
func TestOpen_SharedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "provider.db")
	id := newID()
	outcomes := make([]payment.Outcome, 8)
	var wg sync.WaitGroup
	for i := range outcomes {
		s := openFile(t, path)
		wg.Go(func() {
			var err error
			if outcomes[i], err = s.Charge(t.Context(), id, order.Money{Currency: "EUR", Amount: order.Cents(i + 1)}, goodCard("4242424242424242")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	found, ok, err := openFile(t, path).Find(t.Context(), id)
	if err != nil || !ok || !found.Succeeded || found.Amount.Amount == 0 {
		t.Fatalf("found %+v, %v (%v)", found, ok, err)
	}
	for i, o := range outcomes {
		if o != found {
			t.Errorf("charge %d returned %+v, want %+v", i, o, found)
		}
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("opened a folder as a file")
	}
}

func TestProvider_ThinkTime(t *testing.T) {
	var slept time.Duration
	s := stubSleep(New(), &slept)
	s.ThinkTime = time.Minute
	if _, err := s.Charge(t.Context(), newID(), twelve, goodCard("4242424242424242")); err != nil || slept != time.Minute {
		t.Errorf("slept %s, %v", slept, err)
	}
	s = New()
	s.ThinkTime = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Charge(ctx, newID(), twelve, goodCard("4242424242424242")); !errors.Is(err, context.Canceled) {
		t.Errorf("a charge with an ended context returned %v", err)
	}
}

func TestRecentOutcomes_DropsTheOldest(t *testing.T) {
	r, first := newRecentOutcomes(), newID()
	keep := func(id order.ID) {
		if _, err := r.keep(t.Context(), id, payment.Outcome{Succeeded: true}); err != nil {
			t.Fatal(err)
		}
	}
	keep(first)
	last := first
	for range maxOutcomes {
		last = newID()
		keep(last)
	}
	if _, found, _ := r.find(t.Context(), first); found || len(r.byID) != maxOutcomes {
		t.Errorf("%d outcomes in memory, the first one: %v", len(r.byID), found)
	}
	if _, found, _ := r.find(t.Context(), last); !found {
		t.Error("the last outcome was dropped")
	}
}

func TestLuhn_CheckDigits(t *testing.T) {
	for number, want := range map[string]bool{
		"4242424242424242": true, "378282246310005": true, "4432801561520454": true, "79927398713": true,
		"4242424242424241": false, "79927398710": false, "": false, "4242a24242424242": false, "４２": false,
	} {
		if luhn(number) != want {
			t.Errorf("luhn(%q) = %v", number, !want)
		}
	}
}
