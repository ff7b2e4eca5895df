package simulated

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
)

// serviceTimeout is how long the payment service waits.
const serviceTimeout = 2500 * time.Millisecond

// chargeIn charges a good card in the mode, and returns what the service sees and when.
func chargeIn(t *testing.T, s *Provider, m Mode, id order.ID) (payment.Outcome, time.Duration, error) {
	t.Helper()
	s.SetMode(m)
	ctx, cancel := context.WithTimeout(t.Context(), serviceTimeout)
	defer cancel()
	began := time.Now()
	o, err := s.Charge(ctx, id, twelve, goodCard("4242424242424242"))
	return o, time.Since(began), err
}

func TestProvider_Modes(t *testing.T) {
	for _, c := range []struct {
		mode    Mode
		err     error
		took    time.Duration
		charged bool // as found afterwards
	}{
		{OK, nil, 0, true},
		{Slow, nil, slowLatency, true},
		{Down, order.ErrUnavailable, 0, false},
		{Silent, context.DeadlineExceeded, serviceTimeout, false},
		{Unanswered, context.DeadlineExceeded, serviceTimeout, true},
		{Late, context.DeadlineExceeded, serviceTimeout, false},
	} {
		t.Run(string(c.mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, id := New(), newID()
				defer s.Close() //nolint:errcheck // Without a file it returns nil.
				_, took, err := chargeIn(t, s, c.mode, id)
				if !errors.Is(err, c.err) || took != c.took {
					t.Errorf("a charge returned %v after %s; want %v after %s", err, took, c.err, c.took)
				}
				s.SetMode(OK)
				if o, found, err := s.Find(t.Context(), id); err != nil || found != c.charged || o.Succeeded != c.charged {
					t.Errorf("found %+v, %v, %v; want charged: %v", o, found, err, c.charged)
				}
			})
		})
	}
}

// TestProvider_LateCharge is made after SetLate, once, also if the same order is charged by a retry before.
func TestProvider_LateCharge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, alone, retried, dropped := New(), newID(), newID(), newID()
		s.SetLate(time.Hour)
		for _, id := range []order.ID{alone, retried} {
			if _, _, err := chargeIn(t, s, Late, id); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
		}
		if _, _, err := chargeIn(t, s, OK, retried); err != nil {
			t.Fatal(err)
		}
		if err := s.Refund(t.Context(), retried, "r1", twelve); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		synctest.Wait()
		if o, found, err := s.Find(t.Context(), alone); err != nil || !found || !o.Succeeded {
			t.Errorf("an hour later: %+v, %v, %v; want a charge", o, found, err)
		}
		if o, _, err := s.Find(t.Context(), retried); err != nil || !o.Refunded {
			t.Errorf("a charge that was made and refunded meanwhile: %+v, %v", o, err)
		}
		if _, _, err := chargeIn(t, s, Late, dropped); err == nil {
			t.Error("a late charge responded")
		}
		if err := s.Close(); err != nil || len(s.lateCharges) != 1 {
			t.Errorf("closed with %d late charges: %v", len(s.lateCharges), err)
		}
	})
}
