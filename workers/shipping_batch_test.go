package workers_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// fakeTimedShipStore is a store, and a carrier with a latency, that measure how long orders are claimed before they are offered or released.
type fakeTimedShipStore struct {
	*fakeMemoryShipStore

	latency time.Duration

	timing  sync.Mutex
	claimed map[order.ID]time.Time
	longest time.Duration
	// sizes are the numbers of orders that were claimed at once.
	sizes []int
}

func newFakeTimedShipStore(latency time.Duration, orders ...order.Order) *fakeTimedShipStore {
	return &fakeTimedShipStore{
		fakeMemoryShipStore: newFakeMemoryShipStore(order.Paid, orders...), latency: latency, claimed: make(map[order.ID]time.Time),
	}
}

func (s *fakeTimedShipStore) ClaimShipping(ctx context.Context, ids []order.ID, lease time.Duration) (store.ShipClaims, error) {
	s.timing.Lock()
	defer s.timing.Unlock()
	s.sizes = append(s.sizes, len(ids))
	for _, id := range ids {
		s.claimed[id] = time.Now()
	}
	return s.fakeMemoryShipStore.ClaimShipping(ctx, ids, lease)
}

func (s *fakeTimedShipStore) ReleaseShippingClaims(_ context.Context, ids []order.ID, _ time.Time) error {
	for _, id := range ids {
		s.waited(id)
	}
	return nil
}

// waited ends the time for which an order was claimed and not offered.
func (s *fakeTimedShipStore) waited(id order.ID) {
	s.timing.Lock()
	defer s.timing.Unlock()
	if at, ok := s.claimed[id]; ok {
		s.longest = max(s.longest, time.Since(at))
		delete(s.claimed, id)
	}
}

// carrier is the carrier of the store's orders.
func (s *fakeTimedShipStore) carrier() workers.ShippingClient {
	return fakeCarrierFunc(func(_ context.Context, o order.Order) error {
		s.waited(o.ID)
		<-time.After(s.latency)
		return nil
	})
}

// TestShipper_ClaimsOfASlowCarrier: orders that the carrier has no time for within ClaimWindow are released, so that they can be cancelled, and
// are offered later in the same iteration. The next claim is as large as what the carrier took.
func TestShipper_ClaimsOfASlowCarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		orders := someOrders(100)
		st := newFakeTimedShipStore(2*time.Second, orders...)
		in := newFakeConsumer(settledBody(orders...))
		mustRun(t, newShipper(in, st, st.carrier()).RunOnce, len(orders))
		if window := workers.DefaultShippingConfig().ClaimWindow; st.longest > window || len(st.claimed) > 0 {
			t.Errorf("an order was claimed for %s before it was offered or released, and %d are still; want at most %s", st.longest, len(st.claimed), window)
		}
		if want := []int{100, 30, 40, 10}; !slices.Equal(st.sizes, want) { // 30 calls begin within 5 s.
			t.Errorf("claims of %v orders; want %v", st.sizes, want)
		}
		if len(st.failed) > 0 || in.left() != 0 {
			t.Errorf("%v failed, %d messages are left", st.failed, in.left())
		}
	})
}

// TestShipper_CarrierIsBusyWithOthers: all slots of the process' limiter are taken. The iteration ends at its deadline, and the orders, which
// were not offered, are neither claimed nor SHIP_FAILED.
func TestShipper_CarrierIsBusyWithOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		orders := someOrders(12)
		st := newFakeTimedShipStore(time.Hour, orders...)
		shared := workers.NewCarrierLimiter(1, st.carrier())
		var other sync.WaitGroup
		other.Go(func() { _ = shared.Ship(t.Context(), freshOrder()) })
		defer other.Wait()
		synctest.Wait()
		begun, cfg := time.Now(), workers.DefaultShippingConfig()
		in := newFakeConsumer(settledBody(orders...))
		mustRun(t, newShipper(in, st, shared).RunOnce, 0)
		if took := time.Since(begun); took > cfg.CallWindow {
			t.Errorf("the iteration took %s; want at most %s", took, cfg.CallWindow)
		}
		if st.longest > cfg.ClaimWindow || len(st.claimed) > 0 || len(st.failed) > 0 || in.left() != 1 {
			t.Errorf("claimed for %s, %d still, %v failed, %d messages left; want at most %s, none, none and one",
				st.longest, len(st.claimed), st.failed, in.left(), cfg.ClaimWindow)
		}
	})
}

// TestShipper_EarlierClaimStaysWhenNotOffered: the earlier claimant may have shipped the order.
func TestShipper_EarlierClaimStaysWhenNotOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		orders := someOrders(2)
		st := &fakeClaimedBefore{newFakeTimedShipStore(time.Hour, orders...)}
		shared := workers.NewCarrierLimiter(1, st.carrier())
		var other sync.WaitGroup
		other.Go(func() { _ = shared.Ship(t.Context(), freshOrder()) })
		defer other.Wait()
		synctest.Wait()
		in := newFakeConsumer(settledBody(orders...))
		mustRun(t, newShipper(in, st, shared).RunOnce, 0)
		if len(st.claimed) != len(orders) || len(st.sizes) != 1 || in.left() != 1 {
			t.Errorf("%d orders are claimed, claims of %v, %d messages left; want %d, one claim, and one message", len(st.claimed), st.sizes, in.left(), len(orders))
		}
	})
}

// fakeClaimedBefore is a store in which every order had a claim.
type fakeClaimedBefore struct{ *fakeTimedShipStore }

func (s *fakeClaimedBefore) ClaimShipping(ctx context.Context, ids []order.ID, lease time.Duration) (store.ShipClaims, error) {
	out, err := s.fakeTimedShipStore.ClaimShipping(ctx, ids, lease)
	for id := range out.Orders {
		out.Orders[id] = true
	}
	return out, err
}
