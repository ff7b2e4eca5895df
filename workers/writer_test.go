package workers_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// fakeFlakyOrders is an OrderStore that fails on demand, before or after its commit.
type fakeFlakyOrders struct {
	*store.Orders
	before, after func() error
	batches       []int
}

func (f *fakeFlakyOrders) Apply(ctx context.Context, changes []order.Event) (store.Outcome, error) {
	f.batches = append(f.batches, len(changes))
	if f.before != nil {
		if err := f.before(); err != nil {
			return store.Outcome{}, err
		}
	}
	out, err := f.Orders.Apply(ctx, changes)
	if err == nil && f.after != nil {
		err = f.after()
	}
	return out, err
}

// fakeHotOrders records the calls of Expire, and what SQL held of the orders at that time.
type fakeHotOrders struct {
	orders  *store.Orders
	expired map[order.ID]order.State
	early   []order.ID
	err     error
}

func (h *fakeHotOrders) Expire(ctx context.Context, states map[order.ID]order.State) error {
	for id, state := range states {
		held, err := h.orders.Get(ctx, id)
		if err != nil || held.State != state {
			h.early = append(h.early, id)
		}
		if h.expired == nil {
			h.expired = make(map[order.ID]order.State)
		}
		h.expired[id] = state
	}
	return h.err
}

type fakeCanceller struct {
	err   error
	calls []store.Duplicate
}

func (c *fakeCanceller) CancelDuplicate(_ context.Context, id, of order.ID) error {
	c.calls = append(c.calls, store.Duplicate{ID: id, Of: of})
	return c.err
}

// writerFixture is an order writer with its dependencies.
type writerFixture struct {
	*workers.OrderWriter
	db     *store.DB
	in     *fakeConsumer
	orders *fakeFlakyOrders
	hot    *fakeHotOrders
	cancel *fakeCanceller
}

func newWriterFixture(db *store.DB, dead workers.DeadLetters, rows int, bodies ...[]byte) *writerFixture {
	orders := store.NewOrders(db)
	d := &writerFixture{
		db: db, in: newFakeConsumer(bodies...), orders: &fakeFlakyOrders{Orders: orders}, hot: &fakeHotOrders{orders: orders}, cancel: &fakeCanceller{},
	}
	if dead == nil {
		dead = store.NewDeadLetters(db)
	}
	cfg := workers.DefaultWriterConfig()
	cfg.Rows = rows
	d.OrderWriter = workers.NewOrderWriter(cfg, d.in, d.orders, dead, d.hot, d.cancel, quiet)
	return d
}

func TestOrderWriter_Batches(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		var steps []*spillwayv1.OrderEvent
		var last order.Order
		for range 5 {
			last = freshOrder()
			steps = append(steps, event(last, settled))
		}
		declined := freshOrder()
		d := newWriterFixture(db, nil, 3, body(steps[:4]...), body(steps[4], event(declined, reserved), event(declined, released)))
		mustRun(t, d.RunOnce, 7)
		mustRun(t, d.RunOnce, 0)
		wantState(t, d.orders.Orders, last.ID, order.Paid)
		o, err := d.orders.Get(t.Context(), declined.ID)
		if err != nil || o.State != order.Cancelled || o.CancelReason.Text != "declined" || len(o.Lines) != 2 {
			t.Errorf("the declined order is %+v (%v)", o, err)
		}
		if !slices.Equal(d.orders.batches, []int{3, 3, 1}) {
			t.Errorf("transactions of %v rows; want 3 at most", d.orders.batches)
		}
	})
}

// TestOrderWriter_UnreadableMessage: a message, or any one event of a message (I10).
func TestOrderWriter_UnreadableMessage(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		before, after, other := freshOrder(), freshOrder(), freshOrder()
		broken, strange, swapped := event(freshOrder(), settled), event(freshOrder(), 99), event(freshOrder(), settled)
		broken.Snapshot = []byte("\xff")
		swapped.OrderId = string(other.ID)
		garbage := []byte("\xff no batch of events")
		d := newWriterFixture(db, nil, 100, body(event(before, settled), broken, strange, swapped), garbage, body(event(after, reserved)))
		d.in.ackErr = func() error { return errDown }
		for range 2 { // The second time they are the same letters.
			mustFail(t, d.RunOnce, errDown)
		}
		d.in.ackErr = nil
		mustRun(t, d.RunOnce, 2)
		wantState(t, d.orders.Orders, before.ID, order.Paid)
		wantState(t, d.orders.Orders, after.ID, order.Pending)
		got := deadLetters(t, db)
		for key, e := range map[string]*spillwayv1.OrderEvent{"m1/1": broken, "m1/2": strange, "m1/3": swapped} {
			f := got["order_writer/message/"+key]
			var kept spillwayv1.OrderEvent
			if err := proto.Unmarshal(f.Payload, &kept); err != nil || !proto.Equal(&kept, e) || f.OrderID != e.GetOrderId() || f.Reason == "" {
				t.Errorf("the dead letter %s is %+v (%v); want the event of %s with a reason", key, f, err, e.GetOrderId())
			}
		}
		if f := got["order_writer/message/m2"]; !bytes.Equal(f.Payload, garbage) || f.Source != "order_writer" || f.Attempts != 3 {
			t.Errorf("the dead letter of the message is %+v; want its bytes and 3 attempts", f)
		}
		if len(got) != 4 || d.in.left() != 0 {
			t.Errorf("%d letters, %d messages left; want 4 and none", len(got), d.in.left())
		}
	})
}

func TestOrderWriter_UnwritableRow(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		before, bad, after := freshOrder(), freshOrder(), freshOrder()
		bad.Total++
		d := newWriterFixture(db, nil, 100, settledBody(before, bad, after))
		mustRun(t, d.RunOnce, 3)
		wantState(t, d.orders.Orders, before.ID, order.Paid)
		wantState(t, d.orders.Orders, after.ID, order.Paid)
		wantNoRow(t, d.orders.Orders, bad.ID)
		got := deadLetters(t, db)
		f := got["order_writer/order/"+string(bad.ID)+"/PAID"]
		var kept spillwayv1.OrderEvent
		if err := proto.Unmarshal(f.Payload, &kept); err != nil || !proto.Equal(&kept, event(bad, settled)) || len(got) != 1 || f.OrderID != string(bad.ID) ||
			f.Reason == "" {
			t.Errorf("letters = %+v, %v; want one with the event", got, err)
		}
		if d.in.left() != 0 {
			t.Errorf("%d messages are left", d.in.left())
		}
	})
}

func TestOrderWriter_DeadLetterBeforeTheAcknowledgement(t *testing.T) {
	db := openSQLite(t)
	bad, broken := freshOrder(), event(freshOrder(), settled)
	bad.Total++
	broken.Snapshot = []byte("\xff")
	for name, poison := range map[string][]byte{"message": []byte("\xff"), "event": body(broken), "row": settledBody(bad)} {
		t.Run(name, func(t *testing.T) {
			good, dead := freshOrder(), &fakeDeadLetters{err: errDown}
			d := newWriterFixture(db, dead, 100, poison, settledBody(good))
			for range 2 {
				mustFail(t, d.RunOnce, errDown)
				if d.in.left() != 2 {
					t.Fatalf("%d messages are left; want both", d.in.left())
				}
			}
			dead.err = nil
			if _, err := d.RunOnce(t.Context()); err != nil || d.in.left() != 0 || len(dead.messages) != 1 {
				t.Errorf("with failed_orders back: %v, %d messages left, letters %+v", err, d.in.left(), dead.messages)
			}
			wantState(t, d.orders.Orders, good.ID, order.Paid)
		})
	}
}

func TestOrderWriter_SQLFails(t *testing.T) {
	db, o := openSQLite(t), freshOrder()
	d := newWriterFixture(db, nil, 100, settledBody(o))
	d.orders.before = func() error { return errDown }
	mustFail(t, d.RunOnce, errDown)
	if d.in.left() != 1 || len(deadLetters(t, db)) != 0 || len(d.hot.expired) != 0 {
		t.Errorf("%d messages left, letters %v, records expired %v; want one, none and none", d.in.left(), deadLetters(t, db), d.hot.expired)
	}
	d.orders.before = nil
	mustRun(t, d.RunOnce, 1)
	wantState(t, d.orders.Orders, o.ID, order.Paid)
}

func TestOrderWriter_SecondOrderOfAKey(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		first, second, neighbour := anOrder("k"), anOrder("k"), freshOrder()
		d := newWriterFixture(db, nil, 100, settledBody(first))
		mustRun(t, d.RunOnce, 1)
		d.in.put(settledBody(second, neighbour))
		d.cancel.err = errDown
		for range 2 {
			mustFail(t, d.RunOnce, errDown)
		}
		if d.in.left() != 1 {
			t.Fatalf("%d messages are left; want the one whose money did not go back", d.in.left())
		}
		d.cancel.err = nil
		mustRun(t, d.RunOnce, 2)
		want := store.Duplicate{ID: second.ID, Of: first.ID}
		if !slices.Equal(d.cancel.calls, []store.Duplicate{want, want, want}) {
			t.Errorf("cancelled %v; want %v in each iteration", d.cancel.calls, want)
		}
		wantState(t, d.orders.Orders, first.ID, order.Paid)
		wantState(t, d.orders.Orders, second.ID, order.Cancelled)
		wantState(t, d.orders.Orders, neighbour.ID, order.Paid)
	})
}

// TestOrderWriter_SecondOrderOfAKeyAlone: beside a bad row, orders are written in halves, down to one by one.
func TestOrderWriter_SecondOrderOfAKeyAlone(t *testing.T) {
	first, second, bad := anOrder("k"), anOrder("k"), freshOrder()
	bad.Total++
	d := newWriterFixture(openSQLite(t), nil, 100, settledBody(first), settledBody(bad, second))
	mustRun(t, d.RunOnce, 3)
	if want := []store.Duplicate{{ID: second.ID, Of: first.ID}}; !slices.Equal(d.cancel.calls, want) {
		t.Errorf("cancelled %v; want %v", d.cancel.calls, want)
	}
}

func TestOrderWriter_RecordExpiresOnceSQLHasItsState(t *testing.T) {
	paid, declined := freshOrder(), freshOrder()
	d := newWriterFixture(openSQLite(t), nil, 100, body(event(paid, settled), event(declined, released)), body(event(paid, reserved), event(declined, reserved)))
	d.orders.after = func() error { return errDown }
	mustFail(t, d.RunOnce, errDown)
	d.orders.after = nil
	d.in.ackErr = func() error { return errDown }
	mustFail(t, d.RunOnce, errDown)
	d.in.ackErr = nil
	if len(d.hot.expired) != 0 {
		t.Errorf("records expired by iterations that failed: %v", d.hot.expired)
	}
	d.hot.err = errDown // A record that stays costs memory; the iteration is done.
	mustRun(t, d.RunOnce, 4)
	if d.hot.expired[paid.ID] != order.Paid || d.hot.expired[declined.ID] != order.Cancelled || len(d.hot.early) != 0 {
		t.Errorf("expired %v, before SQL held it %v; want the last state of both", d.hot.expired, d.hot.early)
	}
}

// TestOrderWriter_RecordLivesUntilItsRow goes from a real record to a real row.
func TestOrderWriter_RecordLivesUntilItsRow(t *testing.T) {
	s := openShop(t, openSQLite(t))
	o := freshOrder()
	s.reserve(t, o)
	s.settle(t, o)
	orders := &fakeFlakyOrders{Orders: s.orders, before: func() error { return errDown }}
	in := newFakeConsumer(settledBody(o))
	w := workers.NewOrderWriter(workers.DefaultWriterConfig(), in, orders, s.dead, s.Stock, &fakeCanceller{}, quiet)
	ttl := func() int64 {
		c := s.redis.Client()
		n, err := c.Do(t.Context(), c.B().Ttl().Key(s.keys.Order(o.ID)).Build()).ToInt64()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	mustFail(t, w.RunOnce, errDown)
	if n := ttl(); n != -1 {
		t.Errorf("the record lives %d s more although it has no row; want for ever", n)
	}
	orders.before = nil
	mustRun(t, w.RunOnce, 1)
	if n := ttl(); n <= 0 || n > 60 {
		t.Errorf("the record lives %d s more although its row is there; want a minute", n)
	}
}

func TestOrderWriter_ReceiveFails(t *testing.T) {
	db := openSQLite(t)
	d := newWriterFixture(db, nil, 100)
	broken := stubBrokenConsumer{d.in}
	orders, dead := store.NewOrders(db), store.NewDeadLetters(db)
	w := workers.NewOrderWriter(workers.DefaultWriterConfig(), broken, orders, dead, d.hot, d.cancel, quiet)
	s := workers.NewShipper(workers.DefaultShipConfig(), broken, orders, dead, &fakeCarrier{}, quiet)
	m := workers.NewMailer(workers.DefaultMailConfig(), broken, &fakeOutbox{}, dead, &fakeCountingMailClient{}, quiet)
	for name, iteration := range map[string]func(context.Context) (int, error){"writer": w.RunOnce, "shipper": s.RunOnce, "mailer": m.RunOnce} {
		if n, err := iteration(t.Context()); n != 0 || !errors.Is(err, queue.ErrUnavailable) {
			t.Errorf("%s: %d, %v; want ErrUnavailable", name, n, err)
		}
	}
}
