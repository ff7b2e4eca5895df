package workers_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
	"github.com/spillway/spillway/workers"
)

// snapshotMachine is a shop with relays and a flusher that start and die, and the orders that it took.
type snapshotMachine struct {
	*shop

	t      *testing.T
	out    *fakeProducer
	orders []order.Order
	states map[order.ID]order.State
	relays int
	relay  *workers.OrderRelay
	flush  *workers.StockFlusher
}

// TestOrderRelay_EveryEventCarriesItsOrder whatever is reserved, settled, released, flushed, relayed, trimmed, written and expired in
// whatever sequence, by readers of the journal that are replaced at any moment, and whichever version wrote the entry of a payment.
func TestOrderRelay_EveryEventCarriesItsOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		m := &snapshotMachine{shop: openShop(t, openSQLite(t)), t: t, out: &fakeProducer{}, states: make(map[order.ID]order.State)}
		m.newRelay(r)
		m.newFlusher(r)
		r.Repeat(map[string]func(*rapid.T){
			"reserve": m.reserve, "settle": m.settle, "settle as before": m.settleAsBefore, "release": m.release, "flush": m.flushSome, "relay": m.relaySome,
			"new relay": m.newRelay, "new flusher": m.newFlusher, "": m.check,
		})
		drained(t, m.flush.RunOnce)
		m.newRelay(r)
		drained(t, m.relay.RunOnce)
		m.check(r)
		m.checkRows(r)
	})
}

func (m *snapshotMachine) newRelay(r *rapid.T) {
	m.relays++
	batch := rapid.Int64Range(1, 4).Draw(r, "batch")
	m.relay = alwaysClaiming(m.shop.relay(m.out, named(fmt.Sprint("relay-", m.relays)), func(c *workers.RelayConfig) {
		c.Batch, c.Block, c.FlushWait = batch, time.Millisecond, time.Millisecond
	}))
}

func (m *snapshotMachine) newFlusher(r *rapid.T) {
	batch := rapid.Int64Range(1, 4).Draw(r, "batch")
	m.flush = m.flusher(m.sql, withOrders, func(c *workers.FlushConfig) { c.Batch, c.Block = batch, time.Millisecond })
}

func (m *snapshotMachine) reserve(*rapid.T) {
	if len(m.orders) == 10 { // The stock is for more.
		return
	}
	o := freshOrder()
	m.shop.reserve(m.t, o)
	m.orders = append(m.orders, o)
	m.states[o.ID] = order.Pending
}

// pending is an order that is PENDING; ok is false if there is none.
func (m *snapshotMachine) pending(r *rapid.T) (o order.Order, ok bool) {
	all := slices.DeleteFunc(slices.Clone(m.orders), func(o order.Order) bool { return m.states[o.ID] != order.Pending })
	if len(all) == 0 {
		return o, false
	}
	return rapid.SampledFrom(all).Draw(r, "order"), true
}

func (m *snapshotMachine) settle(r *rapid.T) {
	if o, ok := m.pending(r); ok {
		m.shop.settle(m.t, o)
		m.states[o.ID] = order.Paid
	}
}

// settleAsBefore is the script of an earlier version.
func (m *snapshotMachine) settleAsBefore(r *rapid.T) {
	o, ok := m.pending(r)
	if !ok {
		return
	}
	id := m.addSettled(m.t, o, snapshot(o))
	c := m.redis.Client()
	set := c.B().Hset().Key(m.keys.Order(o.ID)).FieldValue().FieldValue("state", "1").FieldValue("entry", id).FieldValue("settled", id)
	if err := c.Do(m.t.Context(), set.Build()).Error(); err != nil {
		r.Fatal(err)
	}
	m.states[o.ID] = order.Paid
}

func (m *snapshotMachine) release(r *rapid.T) {
	if o, ok := m.pending(r); ok {
		m.shop.release(m.t, o)
		m.states[o.ID] = order.Cancelled
	}
}

// flushSome flushes a batch with the orders' rows. Hot orders that SQL has in their last state may be gone a moment later.
func (m *snapshotMachine) flushSome(r *rapid.T) {
	if _, err := m.flush.RunOnce(m.t.Context()); err != nil {
		r.Fatalf("flush: %v", err)
	}
	for _, o := range m.orders {
		row, err := m.shop.orders.Get(m.t.Context(), o.ID)
		if err == nil && row.State != order.Pending && row.State == m.states[o.ID] && rapid.Bool().Draw(r, "expires") {
			m.dropHotOrder(m.t, o.ID)
		}
	}
}

// relaySome relays a batch; entries that are not flushed yet stay.
func (m *snapshotMachine) relaySome(*rapid.T) {
	_, _ = m.relay.RunOnce(m.t.Context())
}

func (m *snapshotMachine) check(r *rapid.T) {
	for _, e := range events(m.t, m.out.messages()) {
		i := slices.IndexFunc(m.orders, func(o order.Order) bool { return string(o.ID) == e.GetOrderId() })
		if i < 0 || !bytes.Equal(e.GetSnapshot(), snapshot(m.orders[i])) {
			r.Fatalf("the event %v of order %s carries %q", e.GetKind(), e.GetOrderId(), e.GetSnapshot())
		}
	}
	if found := deadLetters(m.t, m.db); len(found) != 0 {
		r.Fatalf("dead letters: %v", found)
	}
}

// checkRows: the rows are what Redis has, and the journal is relayed.
func (m *snapshotMachine) checkRows(r *rapid.T) {
	for _, o := range m.orders {
		if row, err := m.shop.orders.Get(m.t.Context(), o.ID); err != nil || row.State != m.states[o.ID] {
			r.Fatalf("order %s is %s in SQL (%v); want %s", o.ID, row.State, err, m.states[o.ID])
		}
	}
	last := make(map[string]order.State)
	for _, e := range events(m.t, m.out.messages()) {
		c, err := wire.FromEvent(e)
		if err != nil {
			r.Fatal(err)
		}
		if s, ok := last[e.GetOrderId()]; !ok || c.To.Follows(s) {
			last[e.GetOrderId()] = c.To
		}
	}
	for id, state := range m.states {
		if last[string(id)] != state {
			r.Fatalf("the events of order %s lead to %s; want %s", id, last[string(id)], state)
		}
	}
}
