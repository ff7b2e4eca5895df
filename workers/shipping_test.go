package workers_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/shipping"
	"github.com/spillway/spillway/shipping/simulated"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/wire"
	"github.com/spillway/spillway/workers"
)

var noLog = slog.New(slog.DiscardHandler)

// onBothShops runs the test on MySQL and on SQLite, migrated and empty.
func onBothShops(t *testing.T, test func(t *testing.T, db *store.DB)) {
	for name, dsn := range map[string]func(t *testing.T) string{
		"mysql":  func(t *testing.T) string { return realparts.MySQL(t) },
		"sqlite": func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") },
	} {
		t.Run(name, func(t *testing.T) { test(t, shopDB(t, dsn(t))) })
	}
}

func shopDB(t *testing.T, dsn string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

func paidOrders(t *testing.T, orders *store.Orders, n int) []order.Order {
	t.Helper()
	out := make([]order.Order, n)
	for i := range out {
		now := time.Now().UTC().Truncate(time.Microsecond)
		o := order.Order{
			ID: order.NewID(0, now), CustomerID: "c", Currency: "EUR", Email: "a@example.com", Fingerprint: []byte{1},
			Lines:   []order.Line{{SKU: "A", Name: "Äpfel", Quantity: 2, UnitPrice: 150}},
			Address: order.Address{Name: "N", Street: "S", City: "C", CountryCode: "DE"}, CreatedAt: now, UpdatedAt: now,
		}
		o.TrackingID, o.IdempotencyKey = shipping.NewTrackingID(o.ID), string(o.ID)
		if err := o.Price(499); err != nil {
			t.Fatal(err)
		}
		out[i] = o
	}
	if orders == nil {
		return out
	}
	changes := make([]order.Event, n)
	for i, o := range out {
		changes[i] = order.Event{Order: o, To: order.Paid, At: time.Now()}
	}
	if _, err := orders.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	return out
}

func inState(t *testing.T, orders *store.Orders, want order.State, all ...order.Order) {
	t.Helper()
	for _, o := range all {
		if got, err := orders.Get(t.Context(), o.ID); err != nil || got.State != want {
			t.Errorf("order %s is %s (%v); want %s", o.ID, got.State, err, want)
		}
	}
}

// mayBeCancelled reports whether no claim is left on the order.
func mayBeCancelled(t *testing.T, orders *store.Orders, id order.ID) bool {
	t.Helper()
	c, err := orders.ClaimShipping(t.Context(), []order.ID{id}, 0)
	before, ok := c.Orders[id]
	if err != nil || !ok {
		t.Fatalf("claim to look: %v, %v", c, err)
	}
	if !before {
		if err := orders.ReleaseShippingClaims(t.Context(), []order.ID{id}, c.At); err != nil {
			t.Fatal(err)
		}
	}
	return !before
}

// events makes a message of the orders' events of a kind.
func eventsOf(t *testing.T, kind spillwayv1.OrderEventKind, detail string, orders ...order.Order) []byte {
	t.Helper()
	var batch spillwayv1.OrderEventBatch
	for _, o := range orders {
		snapshot, err := wire.MarshalSnapshot(o)
		if err != nil {
			t.Fatal(err)
		}
		batch.Events = append(batch.Events, &spillwayv1.OrderEvent{Kind: kind, OrderId: string(o.ID), Snapshot: snapshot, Time: timestamppb.Now(), Detail: detail})
	}
	b, err := proto.Marshal(&batch)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func settledOf(t *testing.T, orders ...order.Order) []byte {
	t.Helper()
	return eventsOf(t, spillwayv1.OrderEventKind_ORDER_EVENT_KIND_SETTLED, "", orders...)
}

// fakeRedeliveringConsumer is a consumer that delivers its messages until they are acknowledged.
type fakeRedeliveringConsumer struct {
	mu       sync.Mutex
	messages []queue.Message
}

func newFakeRedeliveringConsumer(bodies ...[]byte) *fakeRedeliveringConsumer {
	c := &fakeRedeliveringConsumer{}
	for i, b := range bodies {
		c.messages = append(c.messages, queue.Message{ID: fmt.Sprint("m", i), Body: b})
	}
	return c
}

func (c *fakeRedeliveringConsumer) Receive(context.Context, int, time.Duration) ([]queue.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.messages {
		c.messages[i].Attempt++
	}
	return slices.Clone(c.messages), nil
}

func (c *fakeRedeliveringConsumer) Ack(_ context.Context, done ...queue.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages = slices.DeleteFunc(c.messages, func(m queue.Message) bool {
		return slices.ContainsFunc(done, func(d queue.Message) bool { return d.ID == m.ID })
	})
	return nil
}

func (*fakeRedeliveringConsumer) Release(context.Context, ...queue.Message) error { return nil }
func (*fakeRedeliveringConsumer) Close(context.Context) error                     { return nil }

// stubNoDeadLetters fails the test when a dead letter is written.
type stubNoDeadLetters struct{ t *testing.T }

func (n stubNoDeadLetters) Put(_ context.Context, letters ...store.DeadLetter) error {
	n.t.Errorf("dead-lettered: %+v", letters)
	return nil
}

// fakeTimeoutCarrier calls the simulated carrier as shipping.Client does: a call that times out leaves the outcome unknown.
type fakeTimeoutCarrier struct {
	*simulated.Carrier
	timeout time.Duration
}

func (v fakeTimeoutCarrier) Ship(ctx context.Context, o order.Order) error {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	err := v.Carrier.Ship(ctx, shipping.Parcel{OrderID: o.ID, TrackingID: o.TrackingID, To: o.Address, Items: o.Demand()})
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", order.ErrUnknownOutcome, err)
	}
	return err
}

func newFakeTimeoutCarrier(mode simulated.Mode) fakeTimeoutCarrier {
	v := fakeTimeoutCarrier{&simulated.Carrier{}, 30 * time.Millisecond}
	v.SetMode(mode)
	return v
}

// fakeCarrierFunc is a carrier that is a function.
type fakeCarrierFunc func(ctx context.Context, o order.Order) error

func (f fakeCarrierFunc) Ship(ctx context.Context, o order.Order) error { return f(ctx, o) }

// quickly is the default without its long pauses.
func quickly(tries int) workers.ShipConfig {
	cfg := workers.DefaultShipConfig()
	cfg.RowWait = 20 * time.Millisecond
	cfg.Shipping.MaxAttempts, cfg.Shipping.MinBackoff, cfg.Shipping.MaxBackoff = tries, time.Millisecond, 2*time.Millisecond
	return cfg
}

func ranTo(t *testing.T, iteration func(context.Context) (int, error), want int) {
	t.Helper()
	if n, err := iteration(t.Context()); err != nil || n != want {
		t.Errorf("the iteration returned %d, %v; want %d", n, err, want)
	}
}

func TestShipper_CarrierDown(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		all := paidOrders(t, orders, 3)
		in, down := newFakeRedeliveringConsumer(settledOf(t, all...)), newFakeTimeoutCarrier(simulated.Down)
		s := workers.NewShipper(quickly(3), in, orders, stubNoDeadLetters{t}, down, noLog)
		ranTo(t, s.RunOnce, 0)
		inState(t, orders, order.ShipFailed, all...)
		if len(in.messages) != 0 || down.Parcels() != 0 {
			t.Errorf("%d messages are left, %d parcels were taken", len(in.messages), down.Parcels())
		}
		if !mayBeCancelled(t, orders, all[0].ID) {
			t.Error("the carrier surely does not have it, but it is still claimed")
		}
	})
}

func TestShipper_LateResponseIsOneParcel(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		all := paidOrders(t, orders, 3)
		in, late := newFakeRedeliveringConsumer(settledOf(t, all...)), newFakeTimeoutCarrier(simulated.Late)
		ranTo(t, workers.NewShipper(quickly(3), in, orders, stubNoDeadLetters{t}, late, noLog).RunOnce, 3)
		inState(t, orders, order.Shipped, all...)
		if late.Parcels() != 3 || len(in.messages) != 0 {
			t.Errorf("%d parcels, %d messages left; want 3 and none", late.Parcels(), len(in.messages))
		}
	})
}

// TestShipper_UnknownOutcomePreventsCancelling until the carrier has the parcel or refuses it for good.
func TestShipper_UnknownOutcomePreventsCancelling(t *testing.T) {
	onBothShops(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		o := paidOrders(t, orders, 1)[0]
		offer := func(c workers.ShippingClient, want int) {
			t.Helper()
			ranTo(t, eager(orders, c).RunOnce, want)
		}
		answers := func(err error) fakeCarrierFunc { return func(context.Context, order.Order) error { return err } }
		offer(answers(order.ErrUnknownOutcome), 0)
		inState(t, orders, order.ShipFailed, o)
		if mayBeCancelled(t, orders, o.ID) {
			t.Error("after an unknown outcome it may be cancelled")
		}
		offer(answers(order.ErrRejected), 0) // It is down now; what it took before it does not say.
		if mayBeCancelled(t, orders, o.ID) {
			t.Error("a carrier that is down ended the doubt")
		}
		offer(answers(order.ErrInvalid), 0) // It knows the order's id, and does not have it.
		if !mayBeCancelled(t, orders, o.ID) {
			t.Error("the carrier refused it for good, but it is still claimed")
		}
		offer(answers(nil), 1)
		inState(t, orders, order.Shipped, o)
	})
}

// fakeShipStore is a ShipStore in which orders are PAID when their states are read, and CANCELLED when they are claimed.
type fakeShipStore struct {
	workers.ShipStore
	orders []order.Order
}

func (f fakeShipStore) States(context.Context, []order.ID) (map[order.ID]order.State, error) {
	out := map[order.ID]order.State{}
	for _, o := range f.orders {
		out[o.ID] = order.Paid
	}
	return out, nil
}

func (fakeShipStore) ClaimShipping(context.Context, []order.ID, time.Duration) (store.ShipClaims, error) {
	return store.ShipClaims{}, nil
}

func TestShipper_UnclaimedOrderIsNotHandedOver(t *testing.T) {
	all := paidOrders(t, nil, 2)
	in := newFakeRedeliveringConsumer(settledOf(t, all...))
	c := fakeCarrierFunc(func(_ context.Context, o order.Order) error {
		t.Errorf("%s was handed over", o.ID)
		return nil
	})
	ranTo(t, workers.NewShipper(quickly(3), in, fakeShipStore{orders: all}, stubNoDeadLetters{t}, c, noLog).RunOnce, 0)
	if len(in.messages) != 0 {
		t.Error("the message is left")
	}
}

func TestShipper_OrderWithoutARow(t *testing.T) {
	db := shopDB(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	orders := store.NewOrders(db)
	there, missing := paidOrders(t, orders, 2), paidOrders(t, nil, 1)
	in := newFakeRedeliveringConsumer(settledOf(t, there[0], missing[0]), settledOf(t, there[1]))
	s := workers.NewShipper(quickly(1), in, orders, stubNoDeadLetters{t}, newFakeTimeoutCarrier(simulated.OK), noLog)
	for attempt := range workers.DefaultShipConfig().MaxDeliveries {
		if len(in.messages) == 0 {
			t.Fatalf("the message was acknowledged after %d attempts", attempt)
		}
		if n, err := s.RunOnce(t.Context()); err == nil || n != 0 {
			t.Errorf("a iteration with an order that has no row answered %d, %v", n, err)
		}
		inState(t, orders, order.Shipped, there...)
	}
	if len(in.messages) != 0 {
		t.Error("the message is not left to the rescuer")
	}
}

func TestShipper_IterationOutOfTime(t *testing.T) {
	db := shopDB(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	orders := store.NewOrders(db)
	all := paidOrders(t, orders, 3)
	in, cfg := newFakeRedeliveringConsumer(settledOf(t, all...)), quickly(1)
	cfg.Shipping.Concurrency, cfg.Shipping.CallWindow = 1, time.Minute
	var passed atomic.Int64 // Only a call takes time, and longer than a iteration may last.
	begin := time.Now()
	slow := fakeCarrierFunc(func(ctx context.Context, _ order.Order) error {
		passed.Add(int64(cfg.Shipping.CallWindow + time.Second))
		return ctx.Err()
	})
	s := workers.NewShipper(cfg, in, orders, stubNoDeadLetters{t}, slow, noLog)
	s.SetClock(func() time.Time { return begin.Add(time.Duration(passed.Load())) })
	for left := 2; left >= 0; left-- {
		ranTo(t, s.RunOnce, 1)
		if (len(in.messages) == 0) != (left == 0) {
			t.Errorf("%d orders are to be shipped and %d messages left", left, len(in.messages))
		}
	}
	inState(t, orders, order.Shipped, all...)
}

func TestShipper_OutcomeIsStoredWhenStopped(t *testing.T) {
	db := shopDB(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	orders := store.NewOrders(db)
	all := paidOrders(t, orders, 2)
	in := newFakeRedeliveringConsumer(settledOf(t, all...))
	ctx, stop := context.WithCancel(t.Context())
	var called sync.WaitGroup // Both calls are in flight when the worker is stopped.
	called.Add(len(all))
	c := fakeCarrierFunc(func(ctx context.Context, _ order.Order) error {
		called.Done()
		called.Wait()
		stop()
		return ctx.Err()
	})
	if n, err := workers.NewShipper(quickly(3), in, orders, stubNoDeadLetters{t}, c, noLog).RunOnce(ctx); n != 2 || err != nil {
		t.Errorf("the iteration returned %d, %v", n, err)
	}
	inState(t, orders, order.Shipped, all...)
	if len(in.messages) != 0 {
		t.Error("the message is left")
	}
}

func TestCarrierLimiter_SharedByAllWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		open, underWay, most := make(chan struct{}), 0, 0
		g := workers.NewCarrierLimiter(10, fakeCarrierFunc(func(context.Context, order.Order) error {
			mu.Lock()
			underWay++
			most = max(most, underWay)
			mu.Unlock()
			<-open
			mu.Lock()
			underWay--
			mu.Unlock()
			return nil
		}))
		var wg sync.WaitGroup
		for range 25 {
			wg.Go(func() {
				if err := g.Ship(t.Context(), order.Order{}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if underWay != 10 {
			t.Errorf("%d calls are under way; want 10", underWay)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if err := g.Ship(gone, order.Order{}); !errors.Is(err, order.ErrRejected) {
			t.Errorf("who left before the gate opened: %v; want a known outcome", err)
		}
		close(open)
		wg.Wait()
		if most != 10 {
			t.Errorf("%d at once; want 10", most)
		}
	})
}
