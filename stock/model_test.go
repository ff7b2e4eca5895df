package stock_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

// model is what the scripts promise, in the simplest words there are.
type model struct {
	left   map[order.SKU]int64
	orders map[order.ID]*modelOrder
	keys   map[string]*modelOrder
	gone   map[order.ID]bool // restocked
	adjust map[string]int64
}

type modelOrder struct {
	request stock.Request
	state   order.State
	// expiring: SQL holds its state, so that it has a TTL.
	expiring bool
}

// TestScripts_MatchASimpleModel: whatever is reserved, retried, settled, released, restocked, adjusted and dropped in whatever
// sequence, after each step counters, states and journal agree with the model (I1, I2, I4, I6).
func TestScripts_MatchASimpleModel(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		rapid.Check(t, func(r *rapid.T) {
			m := &machine{t: t, shop: openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10, "B": 3, "C": 0}), model: model{
				left:   map[order.SKU]int64{"A": 10, "B": 3, "C": 0},
				orders: map[order.ID]*modelOrder{}, keys: map[string]*modelOrder{}, gone: map[order.ID]bool{}, adjust: map[string]int64{},
			}}
			m.shop.SetLoadEntries(rapid.IntRange(1, 4).Draw(r, "load entries"))
			defer m.shop.redis.Close()
			m.snapshots = stock.NewSnapshots(m.shop.keys.Keys, m.shop.redis, stubPermit{})
			r.Repeat(map[string]func(*rapid.T){
				"reserve": m.reserve, "retry": m.retry, "settle": m.settle, "release": m.release, "restock": m.restock,
				"adjust": m.adjustStock, "drop a counter": m.dropCounter, "flush": m.flush, "expire": m.expire, "": m.check,
			})
		})
	})
}

type machine struct {
	model

	t         *testing.T
	shop      *shop
	snapshots *stock.Snapshots
	n         int
}

var modelSKUs = []order.SKU{"A", "B", "C"}

func (m *machine) reserve(r *rapid.T) {
	var demand []order.Demand
	for _, sku := range modelSKUs {
		if n := rapid.IntRange(0, 4).Draw(r, string(sku)); n > 0 {
			demand = append(demand, units(sku, n))
		}
	}
	if len(demand) == 0 {
		return
	}
	m.n++
	req := request(fmt.Sprint("k", m.n), demand...)
	var short []order.SKU
	for _, d := range demand {
		if m.left[d.SKU] < int64(d.Quantity) {
			short = append(short, d.SKU)
		}
	}
	_, err := m.shop.Reserve(m.t.Context(), req)
	var sold *order.SoldOutError
	switch {
	case len(short) == 0 && err == nil:
		o := &modelOrder{request: req, state: order.Pending}
		m.orders[req.OrderID], m.keys[req.Key] = o, o
		for _, d := range demand {
			m.left[d.SKU] -= int64(d.Quantity)
		}
	case len(short) > 0 && errors.As(err, &sold) && len(sold.Shortages) == len(short):
		for i, s := range sold.Shortages {
			if s.SKU != short[i] || s.Available != m.left[s.SKU] {
				r.Fatalf("short of %+v; the model has %v", sold.Shortages, m.left)
			}
		}
	default:
		r.Fatalf("reserve %v with %v left: %v; short should be %v", demand, m.left, err, short)
	}
}

// retry sends a key again: with its own request it names the first order, with another one it is refused.
func (m *machine) retry(r *rapid.T) {
	if len(m.keys) == 0 {
		return
	}
	key := rapid.SampledFrom(slices.Sorted(maps.Keys(m.keys))).Draw(r, "key")
	first := m.keys[key].request
	again := request(key, first.Demand...)
	if rapid.Bool().Draw(r, "with another request") {
		again.Fingerprint = []byte("another")
		if _, err := m.shop.Reserve(m.t.Context(), again); !errors.Is(err, order.ErrKeyReused) {
			r.Fatalf("the key with another request: %v", err)
		}
		return
	}
	if res, err := m.shop.Reserve(m.t.Context(), again); err != nil || res.Replay != first.OrderID {
		r.Fatalf("the retry got %+v, %v; want %s", res, err, first.OrderID)
	}
}

func (m *machine) pick(r *rapid.T) *modelOrder {
	if len(m.orders) == 0 {
		return nil
	}
	return m.orders[rapid.SampledFrom(slices.Sorted(maps.Keys(m.orders))).Draw(r, "order")]
}

func (m *machine) settle(r *rapid.T) {
	o := m.pick(r)
	if o == nil {
		return
	}
	_, err := m.shop.Settle(m.t.Context(), o.request.OrderID, "ch", "")
	if o.state == order.Cancelled {
		if !errors.Is(err, order.ErrFailedPrecondition) {
			r.Fatalf("settle a cancelled one: %v", err)
		}
		return
	}
	if err != nil {
		r.Fatalf("settle a %s one: %v", o.state, err)
	}
	o.state = order.Paid
}

func (m *machine) release(r *rapid.T) {
	o := m.pick(r)
	if o == nil || m.gone[o.request.OrderID] {
		return
	}
	_, err := m.shop.Release(m.t.Context(), o.request.OrderID, "why", "")
	switch {
	case o.state == order.Paid:
		if !errors.Is(err, order.ErrFailedPrecondition) {
			r.Fatalf("release a paid one: %v", err)
		}
		return
	case err != nil:
		r.Fatalf("release a %s one: %v", o.state, err)
	case o.state == order.Pending:
		m.giveBack(o)
	}
	o.state = order.Cancelled
}

// restock is what follows when SQL cancelled a paid order.
func (m *machine) restock(r *rapid.T) {
	o := m.pick(r)
	if o == nil || o.state != order.Paid {
		return
	}
	epoch, err := m.shop.OpenEpoch()
	if err != nil {
		r.Fatal(err)
	}
	var back []order.Delta
	for _, d := range o.request.Demand {
		back = append(back, order.Delta{SKU: d.SKU, Units: int64(d.Quantity)})
	}
	if _, err := m.shop.Restock(m.t.Context(), epoch, o.request.OrderID, o.request.Customer, back, "cancelled"); err != nil {
		r.Fatal(err)
	}
	if !m.gone[o.request.OrderID] {
		m.giveBack(o)
		m.gone[o.request.OrderID] = true
	}
}

func (m *machine) giveBack(o *modelOrder) {
	for _, d := range o.request.Demand {
		m.left[d.SKU] += int64(d.Quantity)
	}
}

func (m *machine) adjustStock(r *rapid.T) {
	sku := rapid.SampledFrom(modelSKUs).Draw(r, "sku")
	delta := rapid.Int64Range(-5, 5).Draw(r, "delta")
	id := fmt.Sprintf("%s-%d", sku, rapid.IntRange(0, 3).Draw(r, "id"))
	before, seen := m.adjust[id]
	epoch, err := m.shop.OpenEpoch()
	if err != nil {
		r.Fatal(err)
	}
	_, left, err := m.shop.Adjust(m.t.Context(), epoch, order.Adjustment{ID: id, SKU: sku, Units: delta, Reason: "r", Actor: "a"})
	var sold *order.SoldOutError
	switch {
	case seen && before != delta:
		if !errors.Is(err, order.ErrAlreadyExists) {
			r.Fatalf("adjustment %s again with another delta: %v", id, err)
		}
	case !seen && m.left[sku]+delta < 0:
		if !errors.As(err, &sold) {
			r.Fatalf("taking %d of %d: %v", -delta, m.left[sku], err)
		}
	default:
		if !seen {
			m.left[sku] += delta
			m.adjust[id] = delta
		}
		if err != nil || left != m.left[sku] {
			r.Fatalf("adjustment %s: %d left (%v); the model has %d", id, left, err, m.left[sku])
		}
	}
}

// dropCounter drops a counter, which the next reservation loads from SQL and the journal.
func (m *machine) dropCounter(r *rapid.T) {
	epoch, err := m.shop.OpenEpoch()
	if err != nil {
		r.Fatal(err)
	}
	c := m.shop.redis.Client()
	sku := rapid.SampledFrom(modelSKUs).Draw(r, "sku")
	if err := c.Do(m.t.Context(), c.B().Hdel().Key(m.shop.keys.Stock(epoch)).Field(string(sku)).Build()).Error(); err != nil {
		r.Fatal(err)
	}
}

// flush applies a part of the journal to SQL, as the flusher does.
func (m *machine) flush(r *rapid.T) {
	at, err := m.shop.sql.OpenEpoch(m.t.Context(), 0)
	if err != nil {
		r.Fatal(err)
	}
	entries, err := m.shop.journal.Read(m.t.Context(), at.Number, at.LastID, rapid.Int64Range(1, 5).Draw(r, "entries"))
	if err != nil {
		r.Fatal(err)
	}
	if len(entries) > 0 {
		m.shop.sql.apply(entries)
	}
}

// checkSnapshot: the order is in the entries that take and return its units. The entry of its payment leaves it to the hot order, which has
// no TTL while SQL does not hold it as PAID.
func (m *machine) checkSnapshot(r *rapid.T, e journal.Entry) {
	o := m.orders[e.OrderID]
	if o == nil {
		return // An adjustment.
	}
	var want []byte
	switch e.Kind {
	case journal.Reserved, journal.Released:
		want = o.request.Snapshot
	case journal.Settled:
		hot, err := m.snapshots.Snapshots(m.t.Context(), []order.ID{e.OrderID})
		if err != nil || !bytes.Equal(hot[e.OrderID], o.request.Snapshot) {
			r.Fatalf("the hot order of PAID order %s has the snapshot %q (%v); want %q", e.OrderID, hot[e.OrderID], err, o.request.Snapshot)
		}
	case journal.Restocked, journal.Adjusted, journal.Unreadable:
	}
	if !bytes.Equal(e.Snapshot, want) {
		r.Fatalf("entry %s of order %s has the snapshot %q; want %q", e.Kind, e.OrderID, e.Snapshot, want)
	}
}

// expire is the order writer, which sets the TTLs after it has written what Redis had a moment ago, or before.
func (m *machine) expire(r *rapid.T) {
	o := m.pick(r)
	if o == nil {
		return
	}
	written := rapid.SampledFrom([]order.State{order.Pending, o.state}).Draw(r, "written")
	if err := m.shop.Expire(m.t.Context(), map[order.ID]order.State{o.request.OrderID: written}); err != nil {
		r.Fatal(err)
	}
	o.expiring = o.expiring || (written == o.state && o.state != order.Pending)
	c := m.shop.redis.Client()
	ttl, err := c.Do(m.t.Context(), c.B().Ttl().Key(m.shop.keys.Order(o.request.OrderID)).Build()).ToInt64()
	if err != nil || (ttl != -1) != o.expiring {
		r.Fatalf("the %s order has a TTL of %d s (%v) when SQL holds it as %s; want one: %v", o.state, ttl, err, written, o.expiring)
	}
}

// check compares everything that can be seen.
func (m *machine) check(r *rapid.T) {
	ctx := m.t.Context()
	epoch, err := m.shop.OpenEpoch()
	if err != nil {
		r.Fatal(err)
	}
	entries, err := m.shop.journal.Read(ctx, epoch, journal.StartID, 10_000)
	if err != nil {
		r.Fatal(err)
	}
	sum := map[order.SKU]int64{"A": 10, "B": 3, "C": 0}
	for _, e := range entries {
		m.checkSnapshot(r, e)
		for _, d := range e.Deltas {
			sum[d.SKU] += d.Units
		}
	}
	if !maps.Equal(sum, m.left) {
		r.Fatalf("the journal leaves %v; the model %v", sum, m.left)
	}
	c := m.shop.redis.Client()
	counters, err := c.Do(ctx, c.B().Hgetall().Key(m.shop.keys.Stock(epoch)).Build()).AsIntMap()
	if err != nil {
		r.Fatal(err)
	}
	for sku, n := range counters {
		if n != m.left[order.SKU(sku)] || n < 0 {
			r.Fatalf("the counter of %s is %d; the model has %d", sku, n, m.left[order.SKU(sku)])
		}
	}
	ids := slices.Collect(maps.Keys(m.orders))
	if len(ids) == 0 {
		return
	}
	states, err := m.shop.States(ctx, ids)
	if err != nil {
		r.Fatal(err)
	}
	for id, o := range m.orders {
		if state, ok := states[id]; !ok || state != o.state {
			r.Fatalf("order %s is %s (known: %v); the model has %s", id, state, ok, o.state)
		}
	}
}
