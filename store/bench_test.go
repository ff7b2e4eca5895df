package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// benchBatch is how many orders one batch has: the flusher takes 200 entries, the order writer 100 orders.
const (
	benchRange = 200
	benchBatch = 100
)

// BenchmarkDrain measures the multi-row statements of the drain on a real MySQL: a flushed range with and without its orders, and the
// batches of the order writer, which inserts orders and then settles them. One operation is one transaction.
func BenchmarkDrain(b *testing.B) {
	for name, run := range map[string]func(b *testing.B, db *store.DB){
		"flush": benchFlush(false), "flush with orders": benchFlush(true), "write": benchWrite(order.Paid), "write and settle": benchSettle,
	} {
		b.Run(name, func(b *testing.B) {
			db, err := store.Open(b.Context(), realparts.MySQL(b))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = db.Close() })
			if _, err := store.NewMigrator(db).Up(b.Context()); err != nil {
				b.Fatal(err)
			}
			for _, sku := range []order.SKU{"A", "B"} {
				p := store.Product{SKU: sku, Name: "n", Price: order.Money{Currency: "EUR", Amount: 150}, Stock: 1e12}
				if err := store.NewProducts(db).Create(b.Context(), p, "bench"); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			run(b, db)
		})
	}
}

// benchChanges are changes of as many new orders.
func benchChanges(op, n int, to order.State) []store.Change {
	out := make([]store.Change, n)
	for i := range out {
		out[i] = change(anOrder(fmt.Sprint(op, "/", i)), to)
	}
	return out
}

func benchFlush(withOrders bool) func(b *testing.B, db *store.DB) {
	return func(b *testing.B, db *store.DB) {
		stock := store.NewStock(db)
		if _, err := stock.NextEpoch(b.Context(), 0, journal.Epoch{Instance: "bench", Durability: store.DurabilitySQL}); err != nil {
			b.Fatal(err)
		}
		last := "0-0"
		for op := 0; b.Loop(); op++ {
			b.StopTimer()
			changes := benchChanges(op, benchRange, order.Paid)
			r := store.Range{
				Epoch: 1, PrevID: last, FirstID: fmt.Sprintf("%d-1", op+1), LastID: fmt.Sprintf("%d-%d", op+1, benchRange), Entries: benchRange,
				Durability: store.DurabilitySQL, Deltas: map[order.SKU]int64{"A": -2 * benchRange, "B": -benchRange},
			}
			for _, c := range changes {
				r.Holds = append(r.Holds, store.Hold{OrderID: c.Order.ID, Deltas: []order.Delta{{SKU: "A", Units: -2}, {SKU: "B", Units: -1}}})
			}
			if withOrders {
				r.Changes = changes
			}
			b.StartTimer()
			if _, err := stock.FlushRange(b.Context(), r); err != nil {
				b.Fatal(err)
			}
			last = r.LastID
		}
	}
}

func benchWrite(to order.State) func(b *testing.B, db *store.DB) {
	return func(b *testing.B, db *store.DB) {
		orders := store.NewOrders(db)
		for op := 0; b.Loop(); op++ {
			b.StopTimer()
			changes := benchChanges(op, benchBatch, to)
			b.StartTimer()
			if _, err := orders.Apply(b.Context(), changes); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// benchSettle inserts PENDING orders and brings them to PAID in a second transaction.
func benchSettle(b *testing.B, db *store.DB) {
	orders := store.NewOrders(db)
	for op := 0; b.Loop(); op++ {
		b.StopTimer()
		changes := benchChanges(op, benchBatch, order.Pending)
		paid := make([]store.Change, len(changes))
		for i, c := range changes {
			paid[i] = c
			paid[i].To, paid[i].At = order.Paid, c.At.Add(time.Second)
		}
		b.StartTimer()
		for _, batch := range [][]store.Change{changes, paid} {
			if _, err := orders.Apply(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
	}
}
