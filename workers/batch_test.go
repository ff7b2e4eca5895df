package workers_test

import (
	"context"
	"fmt"
	"math/bits"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// stubRows is SQL that cannot take the rows of some orders. It counts the transactions and the orders that were written.
type stubRows struct {
	bad          map[order.ID]bool
	transactions int
	written      map[order.ID]int
}

func (s *stubRows) Apply(_ context.Context, changes []order.Event) (store.Outcome, error) {
	s.transactions++
	for _, c := range changes {
		if s.bad[c.Order.ID] {
			return store.Outcome{}, fmt.Errorf("order %s: %w", c.Order.ID, store.ErrRow)
		}
	}
	for _, c := range changes {
		s.written[c.Order.ID]++
	}
	return store.Outcome{}, nil
}

type noHotOrders struct{}

func (noHotOrders) Expire(context.Context, map[order.ID]order.State) error { return nil }

// TestOrderWriter_BadRowsOfALargeBatch: a poison message costs a number of transactions that grows with the logarithm of the batch, and
// only its own row (I10, I11).
func TestOrderWriter_BadRowsOfALargeBatch(t *testing.T) {
	for _, badRows := range []int{1, 3, 400} {
		rows := workers.DefaultWriterConfig().Rows
		sql := &stubRows{bad: make(map[order.ID]bool), written: make(map[order.ID]int)}
		var events []*spillwayv1.OrderEvent
		for i := range rows {
			o := freshOrder()
			events = append(events, event(o, settled))
			sql.bad[o.ID] = i%(rows/badRows) == 0 && len(sql.bad) < rows
		}
		var dead fakeDeadLetters
		in := newFakeConsumer(body(events...))
		w := workers.NewOrderWriter(workers.DefaultWriterConfig(), in, sql, &dead, noHotOrders{}, &fakeCanceller{}, quiet)
		mustRun(t, w.RunOnce, rows)
		bad := 0
		for id, isBad := range sql.bad {
			if isBad {
				bad++
			}
			if (sql.written[id] == 1) == isBad {
				t.Errorf("%d bad rows: order %s was written %d times; bad: %v", badRows, id, sql.written[id], isBad)
			}
		}
		most := min(2*rows-1, 1+2*bad*bits.Len(uint(rows)))
		if len(dead.messages) != bad || sql.transactions > most || in.left() != 0 {
			t.Errorf("%d bad rows: %d dead letters, %d transactions of at most %d, %d messages left", bad, len(dead.messages), sql.transactions, most, in.left())
		}
	}
}

// TestOrderWriter_DownWhileHalving: a failure of SQL itself while a batch is halved fails the iteration, and makes no dead letters.
func TestOrderWriter_DownWhileHalving(t *testing.T) {
	bad := freshOrder()
	sql := &downAfter{stubRows: stubRows{bad: map[order.ID]bool{bad.ID: true}, written: make(map[order.ID]int)}, left: 2}
	var dead fakeDeadLetters
	in := newFakeConsumer(settledBody(freshOrder(), freshOrder(), bad, freshOrder()))
	w := workers.NewOrderWriter(workers.DefaultWriterConfig(), in, sql, &dead, noHotOrders{}, &fakeCanceller{}, quiet)
	mustFail(t, w.RunOnce, errDown)
	if len(dead.messages) != 0 || in.left() != 1 {
		t.Errorf("%d dead letters, %d messages left; want none and one", len(dead.messages), in.left())
	}
}

type downAfter struct {
	stubRows
	left int
}

func (s *downAfter) Apply(ctx context.Context, changes []order.Event) (store.Outcome, error) {
	if s.left--; s.left < 0 {
		return store.Outcome{}, errDown
	}
	return s.stubRows.Apply(ctx, changes)
}

// TestStockFlusher_BadEntriesOfALargeBatch flushes a full batch with two bad entries on real SQL: the others are applied in order, and once.
func TestStockFlusher_BadEntriesOfALargeBatch(t *testing.T) {
	s := openShop(t, openSQLite(t))
	epoch := s.reserve(t, freshOrder()).Epoch
	for i := range 60 {
		deltas := "A:-1"
		if i == 7 || i == 50 {
			deltas = "nope:-1"
		}
		s.addReserved(t, epoch, freshOrder(), deltas, []byte("x"))
	}
	count := &countFlushes{Stock: s.sql}
	mustRun(t, s.flusher(count).RunOnce, 61)
	s.wantStock(t, 40, 99)
	if got := len(deadLetters(t, s.db)); got != 2 || count.flushes > 1+2*2*bits.Len(61) {
		t.Errorf("%d dead letters after %d transactions; want 2, and at most %d", got, count.flushes, 1+2*2*bits.Len(61))
	}
}

type countFlushes struct {
	*store.Stock
	flushes int
}

func (c *countFlushes) FlushRange(ctx context.Context, r store.Range) (store.Outcome, error) {
	c.flushes++
	return c.Stock.FlushRange(ctx, r)
}

// TestOrderRelay_MessagesFitTheQueue: the largest batch of the largest snapshots is split into messages that every adapter takes.
func TestOrderRelay_MessagesFitTheQueue(t *testing.T) {
	entries := make([]journal.Entry, workers.DefaultRelayConfig("orders", "c").Batch)
	for i := range entries {
		o := freshOrder()
		entries[i] = journal.Entry{
			ID: fmt.Sprint(i+1, "-0"), Kind: journal.Settled, OrderID: o.ID, Snapshot: make([]byte, 64<<10), Time: time.Now(),
		}
	}
	messages, err := workers.Envelopes(entries)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, m := range messages {
		total += len(m.Body)
		if err := m.Check(); err != nil {
			t.Error(err)
		}
	}
	if want := len(entries) * 64 << 10; total < want || len(messages) > want/(1<<20)+2 {
		t.Errorf("%d messages of %d bytes in all; want %d bytes in messages of about 1 MiB", len(messages), total, want)
	}
}
