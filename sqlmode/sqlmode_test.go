package sqlmode

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

func one(sku order.SKU, n int) order.Demand { return order.Demand{SKU: sku, Quantity: n} }

// TestMode_ConcurrentCallersOfTwoProcesses: each key makes one order, whichever process gets it, and no unit is sold twice.
func TestMode_ConcurrentCallersOfTwoProcesses(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		modes := []*Mode{f.mode(stock.Limits{}), f.mode(stock.Limits{})}
		const keys, callers = 40, 3
		var mu sync.Mutex
		orders, outcomes := make(map[string]map[order.ID]bool), make(map[string]int)
		var wg sync.WaitGroup
		for k := range keys {
			key := fmt.Sprint("k", k)
			ids := make(map[order.ID]bool)
			orders[key] = ids
			for c := range callers {
				wg.Go(func() {
					r := request(t, "c", key, one("B", 1), one("A", 2))
					res, err := modes[(k+c)%len(modes)].Reserve(t.Context(), f.epoch, r)
					mu.Lock()
					defer mu.Unlock()
					outcomes[outcome(err)]++
					switch {
					case err == nil && res.Replay != "":
						ids[res.Replay] = true
					case err == nil:
						ids[r.OrderID] = true
					}
				})
			}
		}
		wg.Wait()
		sold := 0
		for key, ids := range orders {
			if len(ids) > 1 {
				t.Errorf("key %s made %d orders", key, len(ids))
			}
			sold += len(ids)
		}
		want, refusal := firstStock["B"], "sold out"
		if f.durability != store.DurabilitySQL {
			want, refusal = firstStock["B"]*share/100, "reserve sold out"
		}
		if int64(sold) != want || outcomes[refusal]+outcomes["ok"] != keys*callers {
			t.Errorf("%d orders of one B; want %d; outcomes %v", sold, want, outcomes)
		}
		u := f.units()
		if u["B"].Stock != firstStock["B"]-want || u["A"].Stock != firstStock["A"]-2*want {
			t.Errorf("units %v", u)
		}
		f.audit()
	})
}

// TestMode_PoisonStep: an order that SQL cannot take fails alone; the others of its batch are taken.
func TestMode_PoisonStep(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		m := f.mode(stock.Limits{})
		var steps []*step
		for i := range 7 {
			o := orderOf("c", fmt.Sprint("k", i), noTime, []order.Demand{one("A", 1)})
			f.must(o.Price(0))
			if i == 4 {
				o.Total++ // It is not the sum of items and shipping.
			}
			r := snapshotOf(t, o)
			steps = append(steps, &step{epoch: f.epoch, reserve: &r, order: o})
		}
		m.runBatch(steps)
		for i, s := range steps {
			if (s.err == nil) != (i != 4) || i == 4 && !store.IsRowError(s.err) {
				t.Errorf("step %d: %v", i, s.err)
			}
		}
		if u := f.units()["A"]; u.Stock != firstStock["A"]-6 {
			t.Errorf("units %+v after 6 orders", u)
		}
		f.audit()
	})
}

// TestMode_EndedEpoch: nothing is done in an epoch that is not open any more, or that is not one in SQL, or that runs with another durability.
func TestMode_EndedEpoch(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		m := f.mode(stock.Limits{})
		r := request(t, "c", "before", one("A", 1))
		if _, err := m.Reserve(t.Context(), f.epoch, r); err != nil {
			t.Fatal(err)
		}
		other := f.epoch
		other.Durability = store.DurabilityReplica
		ended := f.epoch
		next, err := f.stock.NextEpoch(t.Context(), journal.Offset{Epoch: ended.Number}, journal.Epoch{Instance: "run2", Durability: f.durability})
		f.must(err)
		before := f.units()
		for name, e := range map[string]journal.Epoch{"ended": ended, "in Redis": next, "another durability": other} {
			_, reserve := m.Reserve(t.Context(), e, request(t, "c", "after", one("A", 1)))
			_, adjust := m.Adjust(t.Context(), e, order.Adjustment{ID: "a", SKU: "A", Units: 1})
			for step, err := range map[string]error{
				"reserve": reserve, "adjust": adjust, "settle": m.Settle(t.Context(), e, r.OrderID),
				"release": m.Release(t.Context(), e, r.OrderID, order.CancelReason{}),
				"restock": m.Restock(t.Context(), e, r.OrderID, []order.Delta{{SKU: "A", Units: 1}}, order.CancelReason{}),
			} {
				var retry *order.RetryError
				if !errors.Is(err, stock.ErrEpochEnded) || !errors.Is(err, order.ErrUnavailable) || !errors.As(err, &retry) {
					t.Errorf("%s, %s: %v; want ErrEpochEnded with a retry hint", name, step, err)
				}
			}
		}
		if after := f.units(); after["A"].Stock != before["A"].Stock {
			t.Errorf("units %v; before %v", after, before)
		}
		if o, err := f.orders.Get(t.Context(), r.OrderID); err != nil || o.State != order.Pending {
			t.Errorf("the order: %v, %v", o, err)
		}
		f.audit()
	})
}

// TestMode_ReleasedUnitsAreSoldAgain: with a reserve, what an order took of it in this epoch returns to it. A customer whose cards are declined could use it
// up otherwise. The units of an order that was placed in Redis do not: Redis may have sold them again.
func TestMode_ReleasedUnitsAreSoldAgain(t *testing.T) {
	onSQLite(t, func(t *testing.T, f *fixture) {
		m := f.mode(stock.Limits{})
		for i := range 3 * firstStock["C"] {
			r := request(t, "c", fmt.Sprint("k", i), one("C", 2))
			if _, err := m.Reserve(t.Context(), f.epoch, r); err != nil {
				t.Fatalf("order %d: %v", i, err)
			}
			for range 2 { // The second time changes nothing.
				f.must(m.Release(t.Context(), f.epoch, r.OrderID, order.CancelledAsDeclined("declined")))
			}
		}
		if got := f.units()["C"]; got.Stock != firstStock["C"] || f.durability != store.DurabilitySQL && got.Reserve != firstStock["C"]*share/100 {
			t.Errorf("units %+v after all orders were released", got)
		}
		f.audit()
	})
}

// TestMode_ReleaseOfAnOrderOfRedis: its units return to the stock, and not to the reserve: Redis may have given them back and sold them again before it
// became unavailable.
func TestMode_ReleaseOfAnOrderOfRedis(t *testing.T) {
	onSQLite(t, func(t *testing.T, f *fixture) {
		m := f.mode(stock.Limits{})
		r := request(t, "c", "k", one("C", 2))
		if _, err := m.Reserve(t.Context(), f.epoch, r); err != nil {
			t.Fatal(err)
		}
		// One epoch in Redis, and another one in SQL.
		_, err := f.stock.NextEpoch(
			t.Context(),
			journal.Offset{Epoch: f.epoch.Number},
			journal.Epoch{Instance: "run2", Durability: f.durability, ReserveShare: share},
		)
		f.must(err)
		f.switchToSQL()
		before := f.units()["C"]
		f.must(m.Release(t.Context(), f.epoch, r.OrderID, order.CancelReason{}))
		if got := f.units()["C"]; got.Stock != before.Stock+2 || got.Reserve != before.Reserve {
			t.Errorf("units %+v; before %+v", got, before)
		}
		f.audit()
	})
}

// TestMode_HotOrder: an order without a row may be in the Redis that is unavailable, unless everything that is acknowledged is in SQL.
func TestMode_HotOrder(t *testing.T) {
	onSQLite(t, func(t *testing.T, f *fixture) {
		m := f.mode(stock.Limits{})
		r := request(t, "c", "k", one("A", 1))
		want := "unavailable"
		if f.durability == store.DurabilitySQL {
			want = "not found"
		}
		if got := outcome(m.HotOrder(t.Context(), r.OrderID)); got != want {
			t.Errorf("an order without a row: %s; want %s", got, want)
		}
		if _, err := m.Reserve(t.Context(), f.epoch, r); err != nil {
			t.Fatal(err)
		}
		if got := outcome(m.HotOrder(t.Context(), r.OrderID)); got != "not found" {
			t.Errorf("an order with a row: %s; want not found", got)
		}
		for body, want := range map[string]string{string(r.Fingerprint): "ok", "other": "key reused"} {
			id, err := m.Replay(t.Context(), "c", "k", []byte(body))
			if outcome(err) != want || err == nil && id != r.OrderID {
				t.Errorf("replay with %q: %s, %v", body, id, err)
			}
		}
		if id, err := m.Replay(t.Context(), "another", "k", r.Fingerprint); err != nil || id != "" {
			t.Errorf("replay of another customer: %s, %v", id, err)
		}
	})
}
