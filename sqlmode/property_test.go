package sqlmode

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

const (
	// propertySteps are the steps of one run of the property test.
	propertySteps = 300
	// propertyCustomers place orders, with propertyKeys keys each: many steps are replays.
	propertyCustomers, propertyKeys = 8, 12
)

var propertyLimits = stock.Limits{
	CustomerOrders: 9, RateWindow: time.Hour, UnitsWindow: time.Hour, UnpaidOrders: 2, UnpaidPercent: 20, UnpaidTotal: 7,
}

var propertyMaxUnits = map[order.SKU]int{"A": 9, "C": 2}

// TestMode_LikeTheModel takes random steps, by turns through the modes of two processes and in batches of random sizes. Each has the result that a simple
// model has, which takes them one by one; so have stock, reserve and orders afterwards, and the audit passes.
func TestMode_LikeTheModel(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		m := newModel(t, f)
		modes := []*Mode{f.mode(propertyLimits), f.mode(propertyLimits)}
		for taken := 0; taken < propertySteps; {
			n := 1 + r.IntN(2)*r.IntN(12)
			steps, want := make([]*step, n), make([]string, n)
			m.beginBatch(r.IntN(len(modes)))
			for i := range steps {
				steps[i] = m.random(r)
			}
			for i, s := range steps {
				want[i] = m.take(s)
			}
			modes[m.process].runBatch(steps)
			for i, s := range steps {
				got := outcome(s.err)
				if s.replay != "" {
					got = "replay of " + string(s.replay)
				}
				if got != want[i] {
					t.Fatalf("step %d of a batch of %d, %s: %s (%v); want %s", i, n, describe(s), got, s.err, want[i])
				}
			}
			taken += n
		}
		m.compare()
		f.audit()
	})
}

func describe(s *step) string {
	switch {
	case s.reserve != nil:
		return fmt.Sprintf("reserve %v by %s", s.reserve.Demand, s.reserve.Customer)
	case s.settle != "":
		return "settle " + string(s.settle)
	case s.release != "":
		return "release " + string(s.release)
	case s.restock != nil:
		return "restock " + string(s.restock.OrderID)
	}
	return fmt.Sprintf("adjust %+v", *s.adjust)
}

// modelOrder is an order of the model.
type modelOrder struct {
	order.Order
	state    order.State
	returned bool
	// counts is the state in which the limits count it: the one before the present batch.
	counts order.State
	// process has placed it.
	process int
}

// model is what the shop should do, as simply as possible.
type model struct {
	t        *testing.T
	f        *fixture
	units    map[order.SKU]store.Units
	orders   map[order.ID]*modelOrder
	ids      []order.ID
	keys     map[store.Key]order.ID
	adjusted map[string]order.Delta
	// returned are units that the present batch gave back, and unreserved those to the reserve: they are for sale from the next one on.
	returned, unreserved map[order.SKU]int64
	// process takes the present batch.
	process int
}

func newModel(t *testing.T, f *fixture) *model {
	return &model{
		t: t, f: f, units: f.units(), orders: make(map[order.ID]*modelOrder), keys: make(map[store.Key]order.ID), adjusted: make(map[string]order.Delta),
	}
}

// beginBatch makes what the batch before gave back count. The batch is one of the process.
func (m *model) beginBatch(process int) {
	m.process, m.returned, m.unreserved = process, make(map[order.SKU]int64), make(map[order.SKU]int64)
	for _, o := range m.orders {
		o.counts = o.state
	}
}

// random makes a step.
func (m *model) random(r *rand.Rand) *step {
	id := order.NewID(0, time.Now()) // Of no order.
	if len(m.ids) > 0 && r.IntN(20) > 0 {
		id = m.ids[r.IntN(len(m.ids))]
	}
	reason := order.CancelledAs(order.CancelByCustomer, "random")
	s := &step{epoch: m.f.epoch}
	switch n := r.IntN(20); {
	case n < 10:
		m.randomReserve(r, s)
	case n < 13:
		s.settle = id
	case n < 16:
		s.release, s.reason = id, reason
	case n < 18:
		m.cancelPaid(id, reason)
		ret := store.Return{Hold: store.Hold{OrderID: id}, Reason: reason}
		if o := m.orders[id]; o != nil {
			ret.Deltas = unitsOf(o.Demand())
		}
		s.restock = &ret
	default:
		delta := int64(r.IntN(9)) - 3
		if !m.sellsAll() {
			delta = max(delta, 1) // The mode refuses the others before they become steps.
		}
		s.adjust = &order.Adjustment{
			ID: fmt.Sprint("adjustment-", r.IntN(20)), SKU: []order.SKU{"A", "B", "C", "none"}[r.IntN(4)], Units: delta, Reason: "r", Actor: "a", At: time.Now(),
		}
	}
	return s
}

func (m *model) randomReserve(r *rand.Rand, s *step) {
	skus := []order.SKU{"A", "B", "C"}
	r.Shuffle(len(skus), func(i, j int) { skus[i], skus[j] = skus[j], skus[i] })
	if r.IntN(30) == 0 {
		skus[0] = "none"
	}
	var demand []order.Demand
	for _, sku := range skus[:1+r.IntN(len(skus))] {
		demand = append(demand, order.Demand{SKU: sku, Quantity: 1 + r.IntN(3)})
	}
	var expires time.Time
	if r.IntN(3) == 0 {
		expires = time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	}
	customer, key := order.CustomerID(fmt.Sprint("c", r.IntN(propertyCustomers))), fmt.Sprint("k", r.IntN(propertyKeys))
	o := orderOf(customer, key, expires, demand)
	if was := m.orders[m.keys[store.Key{Customer: customer, Key: key}]]; was != nil && r.IntN(4) > 0 {
		o = orderOf(customer, key, was.ExpiresAt, was.Demand()) // A retry.
	}
	if err := o.Price(0); err != nil {
		m.t.Fatal(err)
	}
	req := snapshotOf(m.t, o)
	req.MaxUnits = propertyMaxUnits
	s.reserve, s.order = &req, o
}

// cancelPaid cancels a paid order in its row, as the server does. Its units are to be restocked.
func (m *model) cancelPaid(id order.ID, reason order.CancelReason) {
	o := m.orders[id]
	if o == nil || o.state != order.Paid {
		return
	}
	if _, err := store.NewCancellations(m.f.db).Cancel(m.t.Context(), id, []order.State{order.Paid}, reason, "test"); err != nil {
		m.t.Fatalf("cancel %s: %v", id, err)
	}
	o.state, o.counts = order.Cancelled, order.Cancelled
}

func (m *model) sellsAll() bool { return m.f.durability == store.DurabilitySQL }

// take takes a step and returns its outcome.
func (m *model) take(s *step) string {
	switch {
	case s.reserve != nil:
		return m.reserve(s)
	case s.settle != "":
		return m.settle(m.orders[s.settle])
	case s.release != "":
		return m.release(m.orders[s.release])
	case s.restock != nil:
		if o := m.orders[s.restock.OrderID]; o != nil && o.state == order.Cancelled {
			m.giveBack(o)
		}
		return "ok" // Whether anything returns is up to the order's cancellation.
	}
	return m.adjust(s.adjust)
}

func (m *model) reserve(s *step) string {
	key := store.Key{Customer: s.order.CustomerID, Key: s.order.IdempotencyKey}
	if id, ok := m.keys[key]; ok {
		if !bytes.Equal(m.orders[id].Fingerprint, s.order.Fingerprint) {
			return "key reused"
		}
		return "replay of " + string(id)
	}
	if refusal := m.refusal(s); refusal != "" {
		return refusal
	}
	for sku, n := range summed(s.order.Demand()) {
		u := m.units[sku]
		u.Stock -= n
		if !m.sellsAll() {
			u.Reserve -= n
		}
		m.units[sku] = u
	}
	m.keys[key] = s.order.ID
	m.ids = append(m.ids, s.order.ID)
	m.orders[s.order.ID] = &modelOrder{Order: s.order, process: m.process}
	return "ok"
}

// refusal is why an order is refused; empty if it is not.
func (m *model) refusal(s *step) string {
	placed, unpaid, unpaidOfCustomer := 0, 0, 0
	bought, held := make(map[order.SKU]int64), make(map[order.SKU]int64)
	for _, o := range m.orders {
		mine, later := o.CustomerID == s.order.CustomerID, o.counts == order.Pending && !o.ExpiresAt.IsZero()
		if mine {
			placed++
		}
		if later {
			unpaid++
		}
		if later && mine {
			unpaidOfCustomer++
		}
		for sku, n := range summed(o.Demand()) {
			if mine && o.counts != order.Cancelled {
				bought[sku] += n
			}
			if later {
				held[sku] += n
			}
		}
	}
	want := summed(s.order.Demand())
	if placed >= propertyLimits.CustomerOrders {
		return "limit " + string(order.LimitCustomerOrders)
	}
	if refusal := m.short(s.order.Demand(), want); refusal != "" {
		return refusal
	}
	for sku, most := range propertyMaxUnits {
		if want[sku] > 0 && bought[sku]+want[sku] > int64(most) {
			if bought[sku] == 0 {
				return "limit " + string(order.LimitOrderUnits)
			}
			return "limit " + string(order.LimitCustomerUnits)
		}
	}
	switch {
	case s.order.ExpiresAt.IsZero():
		return ""
	case unpaid >= propertyLimits.UnpaidTotal:
		return "limit " + string(order.LimitUnpaidTotal)
	case unpaidOfCustomer >= propertyLimits.UnpaidOrders:
		return "limit " + string(order.LimitUnpaidOrders)
	}
	for sku, n := range want {
		if held[sku]+n > max(1, (m.left(sku)+held[sku])*int64(propertyLimits.UnpaidPercent)/100) {
			return "limit " + string(order.LimitUnpaidShare)
		}
	}
	return ""
}

// left is how many units are for sale.
func (m *model) left(sku order.SKU) int64 {
	if m.sellsAll() {
		return m.units[sku].Stock - m.returned[sku]
	}
	return m.units[sku].Reserve - m.unreserved[sku]
}

// short is the refusal of an order of too many units.
func (m *model) short(demand []order.Demand, want map[order.SKU]int64) string {
	refusal := ""
	for _, d := range demand {
		u, known := m.units[d.SKU]
		switch {
		case !known:
			return "not found"
		case m.left(d.SKU) >= want[d.SKU]:
		case !m.sellsAll() && u.Stock-m.returned[d.SKU] >= want[d.SKU]:
			return "reserve sold out"
		default:
			refusal = "sold out"
		}
	}
	return refusal
}

func (*model) settle(o *modelOrder) string {
	switch {
	case o == nil:
		return "not found"
	case o.state == order.Cancelled:
		return "failed precondition"
	}
	o.state = order.Paid
	return "ok"
}

func (m *model) release(o *modelOrder) string {
	switch {
	case o == nil:
		return "not found"
	case o.state == order.Paid:
		return "failed precondition"
	case o.state == order.Pending:
		o.state = order.Cancelled
		m.giveBack(o)
		if o.process == m.process && !m.sellsAll() { // Others do not know that its units come from the reserve.
			for sku, n := range summed(o.Demand()) {
				u := m.units[sku]
				u.Reserve += n
				m.units[sku] = u
				m.unreserved[sku] += n
			}
		}
	}
	return "ok"
}

// giveBack returns the units of an order, once.
func (m *model) giveBack(o *modelOrder) {
	if o.returned {
		return
	}
	o.returned = true
	for sku, n := range summed(o.Demand()) {
		u := m.units[sku]
		u.Stock += n
		m.units[sku] = u
		m.returned[sku] += n
	}
}

func (m *model) adjust(a *order.Adjustment) string {
	u, known := m.units[a.SKU]
	if !known {
		return "not found"
	}
	if was, ok := m.adjusted[a.ID]; ok {
		if was != (order.Delta{SKU: a.SKU, Units: a.Units}) {
			return "exists"
		}
		return "ok"
	}
	if u.Stock-m.returned[a.SKU]+a.Units < 0 {
		return "sold out"
	}
	u.Stock += a.Units
	m.units[a.SKU] = u
	m.adjusted[a.ID] = order.Delta{SKU: a.SKU, Units: a.Units}
	return "ok"
}

// compare compares SQL with the model.
func (m *model) compare() {
	m.t.Helper()
	if got := m.f.units(); !maps.Equal(got, m.units) {
		m.t.Errorf("units %v; want %v", got, m.units)
	}
	states := make(map[order.State]int)
	for id, want := range m.orders {
		states[want.state]++
		got, err := m.f.orders.Get(m.t.Context(), id)
		if err != nil || got.State != want.state || got.CustomerID != want.CustomerID || got.Total != want.Total {
			m.t.Errorf("order %s: %+v (%v); want %v", id, got, err, want.state)
		}
	}
	m.t.Logf("orders %v; units %v", states, m.units)
}

// summed sums the units of each SKU.
func summed(demand []order.Demand) map[order.SKU]int64 {
	out := make(map[order.SKU]int64)
	for _, d := range demand {
		out[d.SKU] += int64(d.Quantity)
	}
	return out
}

func unitsOf(demand []order.Demand) []order.Delta {
	sums := summed(demand)
	var out []order.Delta
	for _, sku := range slices.Sorted(maps.Keys(sums)) {
		out = append(out, order.Delta{SKU: sku, Units: sums[sku]})
	}
	return out
}
