package store_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// The flusher takes 200 entries at once, the order writer 100 orders.
const (
	benchRange = 200
	benchBatch = 100
)

// BenchmarkDrain measures the multi-row statements of the drain on a real MySQL: a flushed range with and without its orders, and the
// batches of the order writer, which inserts orders and then settles them. Beside the time it reports the processor time of this process,
// which does not depend on what else runs on the machine.
func BenchmarkDrain(b *testing.B) {
	for _, bench := range []struct {
		name string
		run  func(b *testing.B, db *store.DB) (cpu time.Duration)
	}{
		{"flush", benchFlush(false)}, {"flush with orders", benchFlush(true)}, {"write", benchWrite}, {"write and settle", benchSettle},
	} {
		b.Run(bench.name, func(b *testing.B) {
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
			cpu := bench.run(b, db)
			b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime is the processor time that this process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchChanges are changes of as many new orders.
func benchChanges(op, n int, to order.State) []order.Event {
	out := make([]order.Event, n)
	for i := range out {
		out[i] = change(anOrder(fmt.Sprint(op, "/", i)), to)
	}
	return out
}

func benchFlush(withOrders bool) func(b *testing.B, db *store.DB) time.Duration {
	return func(b *testing.B, db *store.DB) (cpu time.Duration) {
		stock := store.NewStock(db)
		if _, err := stock.NextEpoch(b.Context(), journal.Offset{}, journal.Epoch{Instance: "bench", Durability: store.DurabilitySQL}); err != nil {
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
			begun := cpuTime(b)
			if _, err := stock.FlushRange(b.Context(), r); err != nil {
				b.Fatal(err)
			}
			cpu += cpuTime(b) - begun
			last = r.LastID
		}
		return cpu
	}
}

func benchWrite(b *testing.B, db *store.DB) (cpu time.Duration) {
	orders := store.NewOrders(db)
	for op := 0; b.Loop(); op++ {
		b.StopTimer()
		changes := benchChanges(op, benchBatch, order.Paid)
		b.StartTimer()
		begun := cpuTime(b)
		if _, err := orders.Apply(b.Context(), changes); err != nil {
			b.Fatal(err)
		}
		cpu += cpuTime(b) - begun
	}
	return cpu
}

// benchSettle inserts PENDING orders and brings them to PAID in a second transaction.
func benchSettle(b *testing.B, db *store.DB) (cpu time.Duration) {
	orders := store.NewOrders(db)
	for op := 0; b.Loop(); op++ {
		b.StopTimer()
		changes := benchChanges(op, benchBatch, order.Pending)
		paid := make([]order.Event, len(changes))
		for i, c := range changes {
			paid[i] = c
			paid[i].To, paid[i].At = order.Paid, c.At.Add(time.Second)
		}
		b.StartTimer()
		begun := cpuTime(b)
		for _, batch := range [][]order.Event{changes, paid} {
			if _, err := orders.Apply(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
		cpu += cpuTime(b) - begun
	}
	return cpu
}
