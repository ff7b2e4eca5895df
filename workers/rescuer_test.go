package workers_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/shipping/simulated"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// eager makes a rescuer for which every order is stale, and every claim has expired.
func eager(orders *store.Orders, c workers.ShippingClient) *workers.ShipRescuer {
	cfg := workers.DefaultRescueConfig()
	cfg.Old = store.Staleness{Paid: -time.Second, Failed: []store.RetryPause{{Pause: -time.Second}}}
	cfg.Shipping.Claim = 0
	return workers.NewShipRescuer(cfg, orders, c, noLog)
}

func TestShipRescuer_CarrierWorksAgain(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		all := paidOrders(t, orders, 4)
		c := newFakeTimeoutCarrier(simulated.Down)
		// Two of them never reached a shipper.
		ranTo(t, workers.NewShipper(quickly(2), newFakeRedeliveringConsumer(settledOf(t, all[:2]...)), orders, stubNoDeadLetters{t}, c, noLog).RunOnce, 0)
		inState(t, orders, order.ShipFailed, all[:2]...)
		r := eager(orders, c)
		ranTo(t, r.RunOnce, 0)
		inState(t, orders, order.ShipFailed, all...)
		c.SetMode(simulated.OK)
		ranTo(t, r.RunOnce, 4)
		inState(t, orders, order.Shipped, all...)
		ranTo(t, r.RunOnce, 0)
		if c.Parcels() != 4 {
			t.Errorf("%d parcels; want 4", c.Parcels())
		}
		due, err := store.NewMails(db).LeaseDue(t.Context(), 10, time.Minute)
		if err != nil || len(due) != 4 {
			t.Errorf("%d mails are due (%v); want one an order", len(due), err)
		}
	})
}

// TestShipRescuer_Rest: the message of a PAID order is lost with its queue. The rescuer waits until its checkout has ended, and not for the minute of RunOnce.
func TestShipRescuer_Rest(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		all := paidOrders(t, orders, 2)
		c := newFakeTimeoutCarrier(simulated.OK)
		r := workers.NewShipRescuer(workers.DefaultRescueConfig(), orders, c, noLog)
		ranTo(t, r.RunOnce, 0)
		ranTo(t, r.Rest, 2)
		inState(t, orders, order.Shipped, all...)
		ranTo(t, r.Rest, 0)
	})
}

func TestShipRescuer_LateResponseEndsAsOneParcel(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		o := paidOrders(t, orders, 1)[0]
		c := newFakeTimeoutCarrier(simulated.Late)
		ranTo(t, workers.NewShipper(quickly(1), newFakeRedeliveringConsumer(settledOf(t, o)), orders, stubNoDeadLetters{t}, c, noLog).RunOnce, 0)
		inState(t, orders, order.ShipFailed, o)
		if mayBeCancelled(t, orders, o.ID) {
			t.Error("the carrier has the parcel, and the order may be cancelled")
		}
		ranTo(t, eager(orders, c).RunOnce, 1)
		inState(t, orders, order.Shipped, o)
		if c.Parcels() != 1 {
			t.Errorf("%d parcels; want 1", c.Parcels())
		}
	})
}

func TestShipRescuer_SeveralAtOnce(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		all := paidOrders(t, orders, 30)
		var mu sync.Mutex
		calls := map[order.ID]int{}
		c := newFakeTimeoutCarrier(simulated.OK)
		counting := fakeCarrierFunc(func(ctx context.Context, o order.Order) error {
			mu.Lock()
			calls[o.ID]++
			mu.Unlock()
			return c.Ship(ctx, o)
		})
		cfg := workers.DefaultRescueConfig()
		cfg.Old.Paid = -time.Second
		in := newFakeRedeliveringConsumer(settledOf(t, all...))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { _, _ = workers.NewShipRescuer(cfg, orders, counting, noLog).RunOnce(t.Context()) })
		}
		wg.Go(func() {
			if _, err := workers.NewShipper(quickly(2), in, orders, stubNoDeadLetters{t}, counting, noLog).RunOnce(t.Context()); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		inState(t, orders, order.Shipped, all...)
		for id, n := range calls {
			if n != 1 {
				t.Errorf("%s was offered %d times; a claim is exclusive", id, n)
			}
		}
		if c.Parcels() != len(all) || len(in.messages) != 0 {
			t.Errorf("%d parcels, %d messages left", c.Parcels(), len(in.messages))
		}
	})
}

func TestShipRescuer_FreshOrderIsLeftToTheShipper(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		all := paidOrders(t, orders, 1)
		ranTo(t, workers.NewShipRescuer(workers.DefaultRescueConfig(), orders, newFakeTimeoutCarrier(simulated.OK), noLog).RunOnce, 0)
		inState(t, orders, order.Paid, all...)
	})
}
