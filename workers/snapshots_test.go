package workers_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
	"github.com/spillway/spillway/workers"
)

// stubSnapshots are the snapshots of the hot orders in a Redis that holds nothing else.
type stubSnapshots map[order.ID][]byte

func (s stubSnapshots) Snapshots(_ context.Context, ids []order.ID) (map[order.ID][]byte, error) {
	out := make(map[order.ID][]byte)
	for _, id := range ids {
		if snapshot, ok := s[id]; ok {
			out[id] = snapshot
		}
	}
	return out, nil
}

// countedSnapshots records the orders of each read of hot orders, which fails if err is set.
type countedSnapshots struct {
	workers.HotSnapshots

	mu    sync.Mutex
	reads [][]order.ID
	err   error
}

func (c *countedSnapshots) Snapshots(ctx context.Context, ids []order.ID) (map[order.ID][]byte, error) {
	c.mu.Lock()
	c.reads = append(c.reads, ids)
	err := c.err
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return c.HotSnapshots.Snapshots(ctx, ids)
}

// counted are the shop's sources, with a count of the reads of hot orders.
func (s *shop) counted() (workers.SnapshotSources, *countedSnapshots) {
	sources := s.snapshots()
	hot := &countedSnapshots{HotSnapshots: sources.Hot}
	sources.Hot = hot
	return sources, hot
}

// relayFrom makes a relay that reads the snapshots from the sources.
func (s *shop) relayFrom(sources workers.SnapshotSources, out *fakeProducer, dead workers.DeadLetters) *workers.OrderRelay {
	cfg := workers.DefaultRelayConfig("orders", "relay-1")
	cfg.Block, cfg.ClaimIdle, cfg.FlushWait = briefly, 0, 4*briefly
	return workers.NewOrderRelay(cfg, s.journal, s.sql, sources, out, dead, quiet)
}

// addSettled writes the entry of a payment by hand.
func (s *shop) addSettled(t *testing.T, o order.Order, snapshot []byte) (id string) {
	t.Helper()
	fields := map[string]string{"kind": "S", "order": string(o.ID), "time": "1795884357241", "detail": "ch"}
	if snapshot != nil {
		fields["snapshot"] = string(snapshot)
	}
	return s.add(t, 1, fields)
}

// replayer applies dead letters of the shop that are no mails.
func (s *shop) replayer() *workers.Replayer {
	return workers.NewReplayer(workers.ReplayParts{
		DeadLetters: s.dead, Entries: s.sql, Orders: s.orders, Hot: s, Counters: s, Snapshots: s.snapshots(), Log: quiet,
	})
}

func (s *shop) dropHotOrder(t *testing.T, id order.ID) {
	t.Helper()
	c := s.redis.Client()
	if err := c.Do(t.Context(), c.B().Del().Key(s.keys.Order(id)).Build()).Error(); err != nil {
		t.Fatal(err)
	}
}

// wantWhole checks that exactly these orders were sent as PAID, each with its snapshot.
func wantWhole(t *testing.T, out *fakeProducer, want ...order.Order) {
	t.Helper()
	got := make(map[order.ID][]byte)
	for _, e := range events(t, out.messages()) {
		if e.GetKind() == settled {
			got[order.ID(e.GetOrderId())] = e.GetSnapshot()
		}
	}
	for _, o := range want {
		if !bytes.Equal(got[o.ID], snapshot(o)) {
			t.Errorf("the event of order %s has the snapshot %q; want %q", o.ID, got[o.ID], snapshot(o))
		}
	}
	if len(got) != len(want) {
		t.Errorf("the events of %d paid orders were sent; want %d", len(got), len(want))
	}
}

func TestOrderRelay_SettledEntriesGetTheirSnapshots(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	sources, hot := s.counted()
	r := s.relayFrom(sources, out, s.dead)
	mustRun(t, r.RunOnce, 0)
	early, late, gone, old := freshOrder(), freshOrder(), freshOrder(), freshOrder()
	s.reserve(t, early)
	s.settle(t, early)
	s.reserve(t, late)
	s.reserve(t, gone)
	s.flush(t)
	mustRun(t, r.RunOnce, 4)
	s.settle(t, late)
	s.addSettled(t, old, snapshot(old)) // By an earlier version.
	s.flush(t)
	mustRun(t, r.RunOnce, 2)
	if len(hot.reads) != 0 {
		t.Errorf("the relay read the hot orders %v; want none: it has read their reservations", hot.reads)
	}
	wantWhole(t, out, early, late, old)

	// Another relay has not read the reservation, and reads both orders at once.
	third := freshOrder()
	s.reserve(t, third)
	s.settle(t, gone)
	s.flush(t)
	mustRun(t, r.RunOnce, 2)
	s.settle(t, third)
	fourth := freshOrder()
	s.addSettled(t, fourth, nil)
	s.writePending(t, fourth)
	s.flush(t)
	mustRun(t, s.relayFrom(sources, out, s.dead).RunOnce, 2)
	if len(hot.reads) != 1 || len(hot.reads[0]) != 2 {
		t.Errorf("the relay read the hot orders %v; want two at once", hot.reads)
	}
	wantWhole(t, out, early, late, old, gone, third, fourth)
}

// writePending writes the order's row as the order writer does after its reservation.
func (s *shop) writePending(t *testing.T, o order.Order) {
	t.Helper()
	if _, err := s.orders.Apply(t.Context(), []order.Event{{Order: o, To: order.Pending, At: o.CreatedAt}}); err != nil {
		t.Fatal(err)
	}
}

// TestOrderRelay_SnapshotFromSQL: the hot order expired, because SQL holds the order as PAID.
func TestOrderRelay_SnapshotFromSQL(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *store.DB) {
		s, out := openShop(t, db), &fakeProducer{}
		o := freshOrder()
		s.reserve(t, o)
		s.settle(t, o)
		s.flush(t)
		if _, err := s.orders.Apply(t.Context(), []order.Event{{Order: o, To: order.Paid, At: o.CreatedAt.Add(time.Second)}}); err != nil {
			t.Fatal(err)
		}
		s.dropHotOrder(t, o.ID)
		first := s.relay(&fakeProducer{}, func(c *workers.RelayConfig) { c.Batch = 1 })
		mustRun(t, first.RunOnce, 1) // It takes the reservation.
		mustRun(t, s.relay(out).RunOnce, 1)
		wantWhole(t, out, o)
	})
}

// TestOrderRelay_SettledOrderThatIsNowhere becomes a dead letter, which is applied once an operator has added the order (I10).
func TestOrderRelay_SettledOrderThatIsNowhere(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	fine, lost := freshOrder(), freshOrder()
	dead := &fakeDeadLetters{err: errDown}
	r := alwaysClaiming(s.relayFrom(s.snapshots(), out, dead))
	mustRun(t, r.RunOnce, 0)
	entry := s.addSettled(t, lost, nil)
	s.reserve(t, fine)
	s.flush(t)
	mustFail(t, r.RunOnce, errDown)
	if n := s.unacked(t, 1); n != 2 || len(out.messages()) != 0 {
		t.Fatalf("%d entries unacknowledged and %d messages without a dead letter; want 2 and none", n, len(out.messages()))
	}
	mustRun(t, s.relay(out).RunOnce, 2)
	wantSent(t, out, fine)
	found := deadLetters(t, s.db)
	l := found["journal/0/1/"+entry]
	if len(found) != 1 || l.Source != "order_relay" || l.OrderID != string(lost.ID) || l.PayloadType != journal.DeadLetterType {
		t.Fatalf("the dead letters are %+v; want one of the relay", found)
	}
	replayer := s.replayer()
	if err := replayer.Replay(t.Context(), l.ID, "op"); err == nil {
		t.Error("a payment without its order was replayed")
	}
	e, err := journal.UnmarshalDeadLetter(l.Payload)
	if err != nil {
		t.Fatal(err)
	}
	e.Snapshot = snapshot(lost)
	payload, err := journal.MarshalDeadLetter(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.dead.Edit(t.Context(), l.ID, payload, string(lost.ID), store.DeadLetterAction{Actor: "op"}); err != nil {
		t.Fatal(err)
	}
	if err := replayer.Replay(t.Context(), l.ID, "op"); err != nil {
		t.Fatal(err)
	}
	wantState(t, s.orders, lost.ID, order.Paid)
}

// TestOrderRelay_HotOrdersCannotBeRead: the entries stay unacknowledged, and the next iteration sends them.
func TestOrderRelay_HotOrdersCannotBeRead(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	o := freshOrder()
	s.reserve(t, o)
	s.flush(t)
	mustRun(t, s.relay(out).RunOnce, 1)
	s.settle(t, o)
	s.flush(t)
	sources, hot := s.counted()
	hot.err = errDown
	r := s.relayFrom(sources, out, s.dead)
	mustFail(t, r.RunOnce, errDown)
	if n := s.unacked(t, 1); n != 1 {
		t.Errorf("%d entries wait for their acknowledgement; want 1", n)
	}
	hot.err = nil
	mustRun(t, r.RunOnce, 1)
	wantWhole(t, out, o)
}

// TestOrderRelay_OrderPaidAfterItsReservationWasTrimmed: the hot order has the snapshot as long as it is PENDING, or SQL does not hold it as PAID.
func TestOrderRelay_OrderPaidAfterItsReservationWasTrimmed(t *testing.T) {
	t.Parallel()
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	paid := freshOrder()
	at := s.reserve(t, paid)
	s.reserve(t, freshOrder())
	s.flush(t)
	mustRun(t, s.relay(out).RunOnce, 2)
	s.writePending(t, paid)
	pending := map[order.ID]order.State{paid.ID: order.Pending}
	s.expire(t, pending)
	if ttl := s.hotTTL(t, paid.ID); ttl != -1 {
		t.Errorf("the hot order of a PENDING order has a TTL of %d s", ttl)
	}
	if left := s.journalled(t, at.Epoch); len(left) != 1 || left[0] == at.ID {
		t.Fatalf("the journal holds %v; want only the entry after %s", left, at.ID)
	}
	s.settle(t, paid)
	s.expire(t, pending) // The order writer gets the message of the reservation once more.
	if ttl := s.hotTTL(t, paid.ID); ttl != -1 {
		t.Errorf("the hot order of an order that SQL holds as PENDING has a TTL of %d s", ttl)
	}
	s.flush(t)
	mustRun(t, s.relay(out).RunOnce, 1)
	wantWhole(t, out, paid)
	s.expire(t, map[order.ID]order.State{paid.ID: order.Paid})
	if ttl := s.hotTTL(t, paid.ID); ttl <= 0 {
		t.Errorf("the TTL is %d s after SQL holds the order as PAID", ttl)
	}
}

func (s *shop) expire(t *testing.T, states map[order.ID]order.State) {
	t.Helper()
	if err := s.Expire(t.Context(), states); err != nil {
		t.Fatal(err)
	}
}

// hotTTL is the TTL of a hot order in seconds; -1 without one.
func (s *shop) hotTTL(t *testing.T, id order.ID) int64 {
	t.Helper()
	c := s.redis.Client()
	ttl, err := c.Do(t.Context(), c.B().Ttl().Key(s.keys.Order(id)).Build()).ToInt64()
	if err != nil {
		t.Fatal(err)
	}
	return ttl
}

// TestStockFlusher_DurabilitySQLSettledInALaterBatch: the row becomes PAID also if another flusher has read the reservation, and if an
// earlier version wrote the entry.
func TestStockFlusher_DurabilitySQLSettledInALaterBatch(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		same, later, gone, old := freshOrder(), freshOrder(), freshOrder(), freshOrder()
		f := s.flusher(s.sql, withOrders)
		for _, o := range []order.Order{same, later, gone} {
			s.reserve(t, o)
		}
		mustRun(t, f.RunOnce, 3)
		s.settle(t, same)
		mustRun(t, f.RunOnce, 1)
		s.settle(t, later)
		s.settle(t, gone)
		s.dropHotOrder(t, gone.ID)
		s.addSettled(t, old, snapshot(old))
		mustRun(t, s.flusher(s.sql, withOrders).RunOnce, 3)
		for _, o := range []order.Order{same, later, gone, old} {
			wantState(t, s.orders, o.ID, order.Paid)
		}
	})
}

// TestStockFlusher_SettledOrderThatIsNowhere becomes a dead letter, which does not keep the order's units from returning.
func TestStockFlusher_SettledOrderThatIsNowhere(t *testing.T) {
	s := openShop(t, openSQLite(t))
	o, neighbour := freshOrder(), freshOrder()
	s.addReserved(t, 1, o, "A:-2,B:-1", snapshot(o))
	s.flush(t) // Without orders: there is no row.
	entry := s.addSettled(t, o, nil)
	s.reserve(t, neighbour)
	drained(t, s.flusher(s.sql, withOrders).RunOnce)
	found := deadLetters(t, s.db)
	if l := found["journal/0/1/"+entry]; len(found) != 1 || l.Source != store.FlusherSource {
		t.Fatalf("the dead letters are %+v; want one of the flusher", found)
	}
	wantState(t, s.orders, neighbour.ID, order.Pending)
	s.add(t, 1, map[string]string{"kind": "L", "order": string(o.ID), "deltas": "A:2,B:1", "snapshot": string(snapshot(o)), "time": "1"})
	s.flush(t)
	s.wantStock(t, 98, 99)
}

// TestStockFlusher_DeadLetterOfAPaymentIsWhole: an operator corrects the field that could not be read, and replays it.
func TestStockFlusher_DeadLetterOfAPaymentIsWhole(t *testing.T) {
	s := openShop(t, openSQLite(t))
	o := freshOrder()
	s.reserve(t, o)
	entry := s.add(t, 1, map[string]string{"kind": "S", "order": string(o.ID), "time": "noon"})
	s.flush(t)
	l := deadLetters(t, s.db)["journal/0/1/"+entry]
	s.dropHotOrder(t, o.ID)
	payload := strings.Replace(string(l.Payload), `"noon"`, `"1795884357241"`, 1)
	if err := s.dead.Edit(t.Context(), l.ID, []byte(payload), "", store.DeadLetterAction{Actor: "op"}); err != nil {
		t.Fatal(err)
	}
	replayer := s.replayer()
	if err := replayer.Replay(t.Context(), l.ID, "op"); err != nil {
		t.Fatal(err)
	}
	wantState(t, s.orders, o.ID, order.Paid)
}

// TestReplayer_WithoutSnapshot: a relay or flusher of an earlier version passed on a settled entry as it was.
func TestReplayer_WithoutSnapshot(t *testing.T) {
	bare := func(t *testing.T, o order.Order) *spillwayv1.OrderEvent {
		t.Helper()
		e := step(t, o, order.Paid)
		e.Snapshot = nil
		return e
	}
	entry := func(t *testing.T, o order.Order) []byte {
		t.Helper()
		payload, err := journal.MarshalDeadLetter(journal.Entry{ID: "1-0", Kind: journal.Settled, OrderID: o.ID, Time: noon})
		if err != nil {
			t.Fatal(err)
		}
		return payload
	}
	for name, c := range map[string]struct {
		source, typ string
		payload     func(t *testing.T, o order.Order) []byte
		mails       int
	}{
		"order writer's": {"order_writer", wire.TypeEvent, func(t *testing.T, o order.Order) []byte { return raw(t, bare(t, o)) }, 0},
		"shipper's": {"broker/shipping", wire.TypeBatch, func(t *testing.T, o order.Order) []byte {
			return raw(t, &spillwayv1.OrderEventBatch{Events: []*spillwayv1.OrderEvent{bare(t, o)}})
		}, 0},
		"mailer's":  {"mailer", wire.TypeEvent, func(t *testing.T, o order.Order) []byte { return raw(t, bare(t, o)) }, 1},
		"flusher's": {"stock_flusher", journal.DeadLetterType, entry, 0},
	} {
		t.Run(name, func(t *testing.T) {
			a, o := newReplayer(t), someOrder(t, name)
			id := a.put(t, c.source, c.typ, c.payload(t, o))
			if err := a.Replay(t.Context(), id, "op"); err == nil {
				t.Error("it was replayed without its order")
			}
			a.hot[o.ID] = snapshot(o)
			if err := a.Replay(t.Context(), id, "op"); err != nil {
				t.Fatal(err)
			}
			if len(a.mails) != c.mails {
				t.Errorf("%d mails; want %d", len(a.mails), c.mails)
			}
			if c.mails == 0 {
				wantState(t, a.orders, o.ID, order.Paid)
			}
		})
	}
}

func TestRecentSnapshots_ForgetsTheOldestAtItsBounds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ maxOrders, maxBytes int }{"orders": {2, 1000}, "bytes": {1000, 25}} {
		r := workers.NewRecentSnapshots(c.maxOrders, c.maxBytes)
		for _, id := range []order.ID{"a", "b", "b", "taken", "c"} {
			r.Put(id, []byte("0123456789"))
			if id == "taken" {
				r.Take(id)
			}
		}
		if got := r.Take("a"); got != nil {
			t.Errorf("%s: the oldest is still there", name)
		}
		if got := r.Take("c"); string(got) != "0123456789" {
			t.Errorf("%s: the newest is %q", name, got)
		}
		r.Take("b")
		if n, left := r.Size(); n != 0 || left != 0 {
			t.Errorf("%s: %d bytes of %d orders are left; want none", name, n, left)
		}
	}
}
