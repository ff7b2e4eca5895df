package server

import (
	"context"
	"errors"
	"testing"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/test/realparts"
)

// keyPrefix begins the names of all keys of the shop in Redis.
func (s *shopFixture) keyPrefix() string { return "{" + s.keys.Namespace + ":" }

func (s *shopFixture) copyRedis(t *testing.T) realparts.Keys {
	t.Helper()
	return realparts.CopyKeys(t, s.redis.Client(), s.keyPrefix())
}

// rollBack replaces what Redis holds of the shop by an older copy, as a promoted replica or a truncated append-only file does, and opens
// the next epoch.
func (s *shopFixture) rollBack(t *testing.T, older realparts.Keys) {
	t.Helper()
	realparts.RestoreKeys(t, s.redis.Client(), s.keyPrefix(), older)
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestPlaceOrder_RetryAfterARollback: the card was declined and the order released, which SQL has applied and Redis has lost. The retry
// with the same key finds the order pending in Redis. Nothing may be charged or given back a second time (I1, I6).
func TestPlaceOrder_RetryAfterARollback(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		s.place(t, "before", goodCard) // Its counter is loaded.
		s.flush(t)
		var older realparts.Keys
		s.provider.During = func() { older = s.copyRedis(t) } // "Charge in flight".
		if _, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("k1", declinedCard)); err == nil {
			t.Fatal("the card was not declined")
		}
		s.provider.During = nil
		s.flush(t)
		charges := s.provider.Charges.Load()
		s.rollBack(t, older)
		s.place(t, "loads-the-counter", goodCard)

		var declined *order.DeclinedError
		if _, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("k1", declinedCard)); !errors.As(err, &declined) {
			t.Errorf("the retry: %v; want the decline again", err)
		}
		s.flush(t)
		if n := s.provider.Charges.Load() - charges; n != 1 { // Of the order that loads the counter.
			t.Errorf("%d charges since; want 1", n)
		}
		if left := s.left(t); left != 98 {
			t.Errorf("%d units are left; want 98", left)
		}
	})
}

// TestPlaceOrder_DeclinedAfterRedisLostIt: while the card is charged, SQL gets the order and Redis loses it. An order that was placed while orders were taken in
// SQL is not in Redis either. When its client gets the decline, the order is CANCELLED, and its units come back once.
func TestPlaceOrder_DeclinedAfterRedisLostIt(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		s.place(t, "before", goodCard)
		s.flush(t)
		older := s.copyRedis(t)
		s.provider.During = func() {
			s.flush(t)
			s.rollBack(t, older)
		}
		var declined *order.DeclinedError
		if _, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("k1", declinedCard)); !errors.As(err, &declined) {
			t.Fatalf("got %v; want a declined card", err)
		}
		s.provider.During = nil
		s.wantRow(t, string(declined.OrderID), order.Cancelled)
		s.runRepairs(t)
		s.flush(t)
		if left := s.left(t); left != 99 {
			t.Errorf("%d units are left; want 99", left)
		}
	})
}

// fakeConcurrentStock is a quoter that runs a function during its first call.
type fakeConcurrentStock struct {
	stubQuoter

	happens func()
}

func (m *fakeConcurrentStock) Quote(ctx context.Context, to order.Address, demand []order.Demand, currency order.Currency) (order.Money, error) {
	if happens := m.happens; happens != nil {
		m.happens = nil
		happens()
	}
	return m.stubQuoter.Quote(ctx, to, demand, currency)
}

// TestPlaceOrder_KeysLostWhileItIsPriced: whether idempotency keys may be lost is asked before the order is priced, and Redis is wiped in
// between. The retry must not order a second time (I4).
func TestPlaceOrder_KeysLostWhileItIsPriced(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		placed := s.place(t, "k", goodCard)
		s.flush(t)
		s.checkout.Shipping = &fakeConcurrentStock{happens: func() { s.rollBack(t, nil) }}
		if _, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("k", goodCard)); !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("the retry: %v; want ErrUnavailable", err)
		}
		if again := s.place(t, "k", goodCard); again.GetId() != placed.GetId() {
			t.Errorf("the next retry is answered with order %s, want %s", again.GetId(), placed.GetId())
		}
		if n := s.provider.Charges.Load(); n != 1 {
			t.Errorf("the card was charged %d times, want once", n)
		}
	})
}

// TestPlaceOrder_RefusedRetryAfterAWipe: a retry that would be refused as a new order gets its order, also when only SQL has its key (I4).
func TestPlaceOrder_RefusedRetryAfterAWipe(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		placed := s.place(t, "k", goodCard)
		s.flush(t)
		s.rollBack(t, nil)
		s.checkout.Declines = NewDeclineLimits(DeclineConfig{PerCustomer: 1, Log: discardLog})
		if _, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("declined", declinedCard)); err == nil {
			t.Fatal("the card was not declined")
		}
		if again := s.place(t, "k", goodCard); again.GetId() != placed.GetId() {
			t.Errorf("the retry gets order %s, want %s", again.GetId(), placed.GetId())
		}
		_, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("new", goodCard))
		wantLimit(t, err, order.LimitCustomerDeclines)
	})
}

// fakeCountedOrders counts the keys that are looked up in SQL.
type fakeCountedOrders struct {
	OrderStore

	lookUps int
}

func (f *fakeCountedOrders) FindByKey(ctx context.Context, customer order.CustomerID, key string) (order.Order, error) {
	f.lookUps++
	return f.OrderStore.FindByKey(ctx, customer, key)
}

// TestPlaceOrder_LooksItsKeyUpOnce: a request that is refused after its key was looked up in SQL does not look it up again.
func TestPlaceOrder_LooksItsKeyUpOnce(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		s.rollBack(t, nil)
		counted := &fakeCountedOrders{OrderStore: s.orders}
		s.checkout.Orders = counted
		req := placeRequest("k", goodCard)
		req.ExpectedTotal = &spillwayv1.Money{CurrencyCode: req.GetCurrencyCode(), Units: 1}
		var changed *order.PriceChangedError
		if _, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), req); !errors.As(err, &changed) {
			t.Fatalf("got %v; want another price", err)
		}
		if counted.lookUps != 1 {
			t.Errorf("the key was looked up %d times; want once", counted.lookUps)
		}
	})
}
