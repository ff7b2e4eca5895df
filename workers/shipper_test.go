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

// fakeCarrier counts its calls, and refuses the orders in its list.
type fakeCarrier struct {
	mu      sync.Mutex
	refuses map[order.ID]bool
	calls   map[order.ID]int
	// gate, when set, blocks each call until it is closed.
	block            chan struct{}
	inFlight, atOnce int
}

func (c *fakeCarrier) Ship(_ context.Context, o order.Order) error {
	c.mu.Lock()
	if c.calls == nil {
		c.calls = make(map[order.ID]int)
	}
	c.calls[o.ID]++
	c.inFlight++
	c.atOnce = max(c.atOnce, c.inFlight)
	refuses := c.refuses[o.ID]
	c.mu.Unlock()
	if c.block != nil {
		<-c.block
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight--
	if refuses {
		return errDown
	}
	return nil
}

func (c *fakeCarrier) called(id order.ID) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[id]
}

// fakeMemoryShipStore is an in-memory ShipStore, because a test under a fake clock cannot use a database.
type fakeMemoryShipStore struct {
	mu      sync.Mutex
	states  map[order.ID]order.State
	reads   int
	shipped [][]order.Shipment
	failed  [][]order.ID
	shipErr error
}

func newFakeMemoryShipStore(state order.State, orders ...order.Order) *fakeMemoryShipStore {
	s := &fakeMemoryShipStore{states: make(map[order.ID]order.State)}
	for _, o := range orders {
		s.states[o.ID] = state
	}
	return s
}

func (s *fakeMemoryShipStore) States(_ context.Context, ids []order.ID) (map[order.ID]order.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	out := make(map[order.ID]order.State)
	for _, id := range ids {
		if state, ok := s.states[id]; ok {
			out[id] = state
		}
	}
	return out, nil
}

func (s *fakeMemoryShipStore) Ship(_ context.Context, shipments []order.Shipment) ([]order.ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shipErr != nil {
		return nil, s.shipErr
	}
	s.shipped = append(s.shipped, shipments)
	for _, p := range shipments {
		s.states[p.OrderID] = order.Shipped
	}
	return nil, nil
}

func (s *fakeMemoryShipStore) MarkShipFailed(_ context.Context, ids []order.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = append(s.failed, ids)
	return nil
}

func (s *fakeMemoryShipStore) ClaimShipping(_ context.Context, ids []order.ID, _ time.Duration) (store.ShipClaims, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := store.ShipClaims{Orders: make(map[order.ID]bool)}
	for _, id := range ids {
		if state, ok := s.states[id]; ok && state.CanBecome(order.Shipped) {
			out.Orders[id] = false
		}
	}
	return out, nil
}

func (*fakeMemoryShipStore) ReleaseShippingClaims(context.Context, []order.ID, time.Time) error {
	return nil
}

func (s *fakeMemoryShipStore) set(id order.ID, state order.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states[id] = state
}

func newShipper(in *fakeConsumer, st workers.ShipStore, c workers.ShippingClient) *workers.Shipper {
	return workers.NewShipper(workers.DefaultShipConfig(), in, st, &fakeDeadLetters{}, c, quiet)
}

func someOrders(n int) []order.Order {
	out := make([]order.Order, n)
	for i := range out {
		out[i] = freshOrder()
	}
	return out
}

func TestShipper_Concurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		orders := someOrders(25)
		c, sh := &fakeCarrier{block: make(chan struct{})}, newFakeMemoryShipStore(order.Paid, orders...)
		s := newShipper(newFakeConsumer(settledBody(orders[:15]...), settledBody(orders[15:]...)), sh, c)
		done := make(chan struct{})
		go func() {
			defer close(done)
			mustRun(t, s.RunOnce, 25)
		}()
		synctest.Wait() // Every goroutine is blocked until the gate is closed.
		c.mu.Lock()
		if c.inFlight != 10 {
			t.Errorf("%d calls are under way; want 10", c.inFlight)
		}
		c.mu.Unlock()
		close(c.block)
		<-done
		if c.atOnce != 10 || len(c.calls) != 25 {
			t.Errorf("%d orders were shipped, %d at once; want 25, 10 at once", len(c.calls), c.atOnce)
		}
		// States are read and written in batches, not order by order.
		if sh.reads != 1 || len(sh.shipped) != 1 || len(sh.shipped[0]) != 25 {
			t.Errorf("%d looks at the states, and %d writes; want one each", sh.reads, len(sh.shipped))
		}
	})
}

func TestShipper_RefusedOrderIsTriedThreeTimes(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders, all := store.NewOrders(db), someOrders(3)
		refused := all[1]
		d := newWriterFixture(db, nil, 100, settledBody(all...))
		mustRun(t, d.RunOnce, 3)
		c := &fakeCarrier{refuses: map[order.ID]bool{refused.ID: true}}
		in := newFakeConsumer(settledBody(all...))
		mustRun(t, newShipper(in, orders, c).RunOnce, 2)
		wantState(t, orders, refused.ID, order.ShipFailed)
		for i, times := range []int{1, 3, 1} {
			if got := c.called(all[i].ID); got != times {
				t.Errorf("the carrier was called %d times for order %d; want %d", got, i, times)
			}
		}
		p, err := orders.Shipment(t.Context(), all[2].ID)
		if err != nil || p.TrackingID != all[2].TrackingID || time.Since(p.ShippedAt) > time.Minute {
			t.Errorf("the shipment is %+v (%v)", p, err)
		}
		if in.left() != 0 {
			t.Errorf("%d messages are left; the rest is the rescuer's", in.left())
		}
	})
}

// TestShipper_RedeliveredMessage: orders that are SHIPPED or SHIP_FAILED are not offered again.
func TestShipper_RedeliveredMessage(t *testing.T) {
	db, taken, failed := openSQLite(t), freshOrder(), freshOrder()
	d := newWriterFixture(db, nil, 100, settledBody(taken, failed))
	mustRun(t, d.RunOnce, 2)
	c := &fakeCarrier{refuses: map[order.ID]bool{failed.ID: true}}
	in := newFakeConsumer(settledBody(taken, failed))
	s := newShipper(in, d.orders.Orders, c)
	mustRun(t, s.RunOnce, 1)
	c.refuses = nil
	in.put(settledBody(taken, failed))
	mustRun(t, s.RunOnce, 0)
	wantState(t, d.orders.Orders, taken.ID, order.Shipped)
	wantState(t, d.orders.Orders, failed.ID, order.ShipFailed)
	if c.called(taken.ID) != 1 || c.called(failed.ID) != 3 || in.left() != 0 {
		t.Errorf("the carrier was called %v, %d messages are left", c.calls, in.left())
	}
}

func TestShipper_OnlyPaidOrders(t *testing.T) {
	db := openSQLite(t)
	cancelled, pending, paid := freshOrder(), freshOrder(), freshOrder()
	// Both are settled below; SQL cancelled the first one meanwhile.
	d := newWriterFixture(db, nil, 100, body(event(cancelled, released), event(paid, settled), event(pending, reserved)))
	mustRun(t, d.RunOnce, 3)
	c := &fakeCarrier{}
	in := newFakeConsumer(body(event(cancelled, settled), event(pending, reserved), event(freshOrder(), released), event(paid, settled), event(paid, settled)))
	mustRun(t, newShipper(in, d.orders.Orders, c).RunOnce, 1)
	wantState(t, d.orders.Orders, cancelled.ID, order.Cancelled)
	wantState(t, d.orders.Orders, pending.ID, order.Pending)
	wantState(t, d.orders.Orders, paid.ID, order.Shipped)
	if len(c.calls) != 1 || c.called(paid.ID) != 1 || in.left() != 0 {
		t.Errorf("the carrier was called for %v, %d messages are left; want once for the paid order", c.calls, in.left())
	}
}

// TestShipper_PaymentBeforeItsRow: the row becomes PENDING, then PAID, a second later each.
func TestShipper_PaymentBeforeItsRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, c, sh := freshOrder(), &fakeCarrier{}, newFakeMemoryShipStore(order.Paid)
		in := newFakeConsumer(settledBody(o))
		s := newShipper(in, sh, c)
		done := make(chan struct{})
		go func() {
			defer close(done)
			mustRun(t, s.RunOnce, 1)
		}()
		for _, state := range []order.State{order.Pending, order.Paid} {
			<-time.After(time.Second) // By the bubble's clock.
			synctest.Wait()
			if c.called(o.ID) != 0 {
				t.Errorf("it was shipped before it was %v", state)
			}
			sh.set(o.ID, state)
		}
		<-done
		if c.called(o.ID) != 1 || in.left() != 0 {
			t.Errorf("the carrier was called %d times, %d messages are left", c.called(o.ID), in.left())
		}
	})
}

func TestShipper_MissingRowFailsTheIteration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, c, sh := freshOrder(), &fakeCarrier{}, newFakeMemoryShipStore(order.Paid)
		in := newFakeConsumer(settledBody(o))
		s := newShipper(in, sh, c)
		began := time.Now()
		if n, err := s.RunOnce(t.Context()); err == nil || n != 0 {
			t.Errorf("the iteration returned %d, %v", n, err)
		}
		wait := workers.DefaultShipConfig().RowWait
		if took := time.Since(began); took < wait || took > wait+time.Second {
			t.Errorf("it waited %s; want %s", took, wait)
		}
		if c.called(o.ID) != 0 || in.left() != 1 {
			t.Errorf("the carrier was called %d times, %d messages are left; want none and one", c.called(o.ID), in.left())
		}
		sh.set(o.ID, order.Paid)
		mustRun(t, s.RunOnce, 1)
	})
}

// TestShipper_ParcelWithoutARowIsOfferedAgain: the carrier is idempotent by the order's id.
func TestShipper_ParcelWithoutARowIsOfferedAgain(t *testing.T) {
	o, c := freshOrder(), &fakeCarrier{}
	sh, in := newFakeMemoryShipStore(order.Paid, o), newFakeConsumer(settledBody(o))
	sh.shipErr = errDown
	s := newShipper(in, sh, c)
	mustFail(t, s.RunOnce, errDown)
	if in.left() != 1 {
		t.Fatalf("%d messages are left; want the one that SQL did not hear of", in.left())
	}
	sh.shipErr = nil
	mustRun(t, s.RunOnce, 1)
	if c.called(o.ID) != 2 || len(sh.shipped) != 1 || len(sh.failed) != 0 {
		t.Errorf("%d calls, shipped %v, failed %v", c.called(o.ID), sh.shipped, sh.failed)
	}
}

func TestShipper_PoisonMessage(t *testing.T) {
	o, c := freshOrder(), &fakeCarrier{}
	in, dead := newFakeConsumer([]byte("\xff"), settledBody(o)), &fakeDeadLetters{err: errDown}
	s := workers.NewShipper(workers.DefaultShipConfig(), in, newFakeMemoryShipStore(order.Paid, o), dead, c, quiet)
	mustFail(t, s.RunOnce, errDown)
	if in.left() != 2 || c.called(o.ID) != 0 {
		t.Errorf("%d messages are left and %d orders shipped although the dead letter was not written", in.left(), c.called(o.ID))
	}
	dead.err = nil
	mustRun(t, s.RunOnce, 1)
	keys := make([]string, len(dead.messages))
	for i, f := range dead.messages {
		keys[i] = f.DedupKey
	}
	if !slices.Equal(keys, []string{"shipper/message/m1"}) || in.left() != 0 {
		t.Errorf("letters %v, %d messages left", keys, in.left())
	}
}
