package gateway

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

var twelve = order.Money{Currency: "EUR", Amount: 1200}

func newID() order.ID { return order.NewID(0, time.Now()) }

func goodCard(number string) Card { return NewCard(number, "123", 2099, 1) }

// napless is a provider that notes how long it would have slept.
func napless(slept *time.Duration) *Simulated {
	s := NewSimulated()
	s.sleep = func(_ context.Context, d time.Duration) error {
		*slept += d
		return nil
	}
	return s
}

func TestEveryTestCardDoesWhatItsTableSays(t *testing.T) {
	cards := map[string]string{
		"4242424242424242": "", "5555555555554444": "", "378282246310005": "", "4432801561520454": "", cardSlow: "", "6011111111111117": "",
		"4000000000000002": "generic_decline", "4000000000009995": "insufficient_funds", "4000000000009987": "lost_card",
		"4000000000009979": "stolen_card", "4000000000000069": "expired_card", "4000000000000127": "incorrect_cvc",
		"4000000000000119": "processing_error", "4242424242424241": "incorrect_number", "": "incorrect_number",
	}
	for number, code := range cards {
		var slept time.Duration
		s, id := napless(&slept), newID()
		got, err := s.Charge(t.Context(), id, twelve, goodCard(number))
		want := ProviderOutcome{Amount: twelve, Succeeded: code == "", DeclineCode: code}
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
	if slowCharge >= DefaultPolicies()[Payment].Timeout {
		t.Errorf("the slow card takes %s, more than a payment may", slowCharge)
	}
}

func TestAnExpiredCardIsDeclined(t *testing.T) {
	s := NewSimulated()
	s.now = func() time.Time { return time.Date(2030, 7, 1, 0, 0, 0, 0, time.UTC) }
	got, err := s.Charge(t.Context(), newID(), twelve, NewCard("4242424242424242", "123", 2030, 6))
	if err != nil || got.Succeeded || got.DeclineCode != "expired_card" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCardsWithoutAnAnswer(t *testing.T) {
	for number, charged := range map[string]bool{cardNoAnswer: false, cardAnswerLost: true} {
		s, id := NewSimulated(), newID()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		_, err := s.Charge(ctx, id, twelve, goodCard(number))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("card %s answered %v", number, err)
		}
		if o, found, err := s.Find(t.Context(), id); found != charged || o.Succeeded != charged || err != nil {
			t.Errorf("card %s: found %+v, %v, %v", number, o, found, err)
		}
	}
	s, id := NewSimulated(), newID()
	if _, err := s.Charge(t.Context(), id, twelve, goodCard(cardProviderDown)); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("a provider that is down: %v", err)
	}
	if _, found, _ := s.Find(t.Context(), id); found {
		t.Error("a provider that is down charged a card")
	}
}

func TestAnOrderIsChargedOnce(t *testing.T) {
	s, id := NewSimulated(), newID()
	first, err := s.Charge(t.Context(), id, twelve, goodCard("4242424242424242"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Charge(t.Context(), id, order.Money{Currency: "EUR", Amount: 1}, goodCard(cardDeclined))
	if err != nil || again != first {
		t.Errorf("the second charge answers %+v, %v; want %+v", again, err, first)
	}
	for range 2 {
		if err := s.Refund(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if o, _, _ := s.Find(t.Context(), id); !o.Refunded || !o.Succeeded {
		t.Errorf("after the refund: %+v", o)
	}
	if err := s.Refund(t.Context(), newID()); err != nil {
		t.Errorf("a charge that the provider forgot: %v", err)
	}
}

func TestThinkTimeIsTaken(t *testing.T) {
	var slept time.Duration
	s := napless(&slept)
	s.ThinkTime = time.Minute
	if _, err := s.Charge(t.Context(), newID(), twelve, goodCard("4242424242424242")); err != nil || slept != time.Minute {
		t.Errorf("slept %s, %v", slept, err)
	}
	s = NewSimulated()
	s.ThinkTime = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Charge(ctx, newID(), twelve, goodCard("4242424242424242")); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left gets %v", err)
	}
}

func TestTheProviderForgetsTheOldest(t *testing.T) {
	s, first := NewSimulated(), newID()
	s.remember(first, ProviderOutcome{Succeeded: true})
	last := first
	for range outcomesMax {
		last = newID()
		s.remember(last, ProviderOutcome{Succeeded: true})
	}
	if _, found, _ := s.Find(t.Context(), first); found || len(s.outcomes) != outcomesMax {
		t.Errorf("it remembers %d outcomes, the first one: %v", len(s.outcomes), found)
	}
	if _, found, _ := s.Find(t.Context(), last); !found {
		t.Error("it forgot the last one")
	}
}
