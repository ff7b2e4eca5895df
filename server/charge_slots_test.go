package server

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/test/realparts"
)

// stubClock is moved by the test.
type stubClock struct{ t time.Time }

func (c *stubClock) now() time.Time { return c.t }

// newTestSlots are 8 slots, of which an address may hold 2 with slow charges.
func newTestSlots() (*ChargeSlots, *stubClock) {
	clock := &stubClock{t: time.Unix(0, 0)}
	s := NewChargeSlots(8)
	s.now = clock.now
	return s, clock
}

func from(ctx context.Context, addr string) context.Context {
	return context.WithValue(ctx, addressKey{}, netip.MustParseAddr(addr))
}

// mustStart starts a charge of another customer.
func mustStart(t *testing.T, s *ChargeSlots, addr string) *chargeTicket {
	t.Helper()
	ticket, err := s.admit(from(t.Context(), addr), order.CustomerID(newID()))
	if err == nil {
		_, err = ticket.start(newID())
	}
	if err != nil {
		t.Fatalf("a charge from %s: %v", addr, err)
	}
	return ticket
}

func admitFrom(t *testing.T, s *ChargeSlots, addr string) error {
	t.Helper()
	ticket, err := s.admit(from(t.Context(), addr), order.CustomerID(newID()))
	if err == nil {
		ticket.release()
	}
	return err
}

func TestChargeSlots_SlowChargesOfAnAddressHoldAShare(t *testing.T) {
	const attacker, other = "198.51.100.1", "198.51.100.2"
	s, clock := newTestSlots()
	burst := []*chargeTicket{mustStart(t, s, attacker), mustStart(t, s, attacker), mustStart(t, s, attacker)}
	clock.t = clock.t.Add(slowCharge)
	wantLimit(t, admitFrom(t, s, attacker), order.LimitAddressCharges)
	mustStart(t, s, other).release()
	for _, ticket := range burst {
		ticket.release()
	}
	// It starts again, all at once, while none is slow.
	again := []*chargeTicket{mustStart(t, s, attacker), mustStart(t, s, attacker)}
	wantLimit(t, admitFrom(t, s, attacker), order.LimitAddressCharges)
	for _, ticket := range again {
		ticket.release()
		ticket.release() // Once more is no mistake.
	}
	clock.t = clock.t.Add(slowMemory)
	for range 8 {
		mustStart(t, s, attacker)
	}
	if err := admitFrom(t, s, other); err == nil {
		t.Error("9 of 8 charges are under way")
	}
}

// TestChargeSlots_QuickChargesOfAnAddressHaveNoShare: benchmarks, and shops behind one proxy, have one address.
func TestChargeSlots_QuickChargesOfAnAddressHaveNoShare(t *testing.T) {
	s, clock := newTestSlots()
	for range 100 {
		var batch []*chargeTicket
		for range 8 {
			batch = append(batch, mustStart(t, s, "127.0.0.1"))
		}
		clock.t = clock.t.Add(slowCharge - 1)
		for _, ticket := range batch {
			ticket.release()
		}
	}
	if len(s.running) != 0 || len(s.customers) != 0 || len(s.slow) != 0 {
		t.Errorf("%d addresses, %d customers and %d slow addresses are left", len(s.running), len(s.customers), len(s.slow))
	}
}

// TestPlaceOrder_ChargesOfACustomerAtOnce: one too many is refused before anything is reserved for it.
func TestPlaceOrder_ChargesOfACustomerAtOnce(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		entered, leave := make(chan struct{}), make(chan struct{})
		s.provider.During = func() { entered <- struct{}{}; <-leave }
		s.checkout.Paying = NewChargeSlots(8)
		done := make(chan error, maxCustomerCharges)
		place := func(customer order.CustomerID, key string) error {
			_, err := s.checkout.PlaceOrder(as(context.WithoutCancel(t.Context()), customer), placeRequest(key, goodCard))
			return err
		}
		for i := range maxCustomerCharges {
			go func() { done <- place("c1", fmt.Sprint(i)) }()
			await(t, "a charge", entered)
		}
		wantLimit(t, place("c1", "more"), order.LimitCustomerCharges)
		if n := s.left(t); n != 100-maxCustomerCharges {
			t.Errorf("%d units are left: a refused order took some", n)
		}
		other := make(chan error, 1)
		go func() { other <- place("c2", "k") }()
		await(t, "a charge of another customer", entered)
		close(leave)
		for range maxCustomerCharges {
			if err := await(t, "an order", done); err != nil {
				t.Error(err)
			}
		}
		if err := await(t, "the order of another customer", other); err != nil {
			t.Error(err)
		}
		s.provider.During = nil
		if err := place("c1", "more"); err != nil {
			t.Errorf("the retry: %v", err)
		}
	})
}

// TestPlaceOrder_HangingProviderFreesTheSlot checks that a charge that gets no response ends by itself, although no timer of the checkout ends
// it, and leaves its slot to the next order.
func TestPlaceOrder_HangingProviderFreesTheSlot(t *testing.T) {
	s := openTestShop(t, realparts.MySQL(t))
	s.checkout.Paying = NewChargeSlots(1)
	resp, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("hangs", noAnswerCard))
	if err != nil || resp.GetOrder().GetState() != spillwayv1.OrderState_ORDER_STATE_PENDING {
		t.Errorf("place with a card without an outcome: %v, %v; want PENDING", resp.GetOrder(), err)
	}
	resp, err = s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("next", goodCard))
	if err != nil || resp.GetOrder().GetState() != spillwayv1.OrderState_ORDER_STATE_PAID {
		t.Errorf("the next order: %v, %v; want PAID", resp.GetOrder(), err)
	}
}
