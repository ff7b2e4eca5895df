package workers_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// fakeConcurrentStock lets each flush begin only when as many flushers as expected have read the same entries.
type fakeConcurrentStock struct {
	*store.Stock
	together  sync.WaitGroup
	conflicts atomic.Int64
}

func (m *fakeConcurrentStock) FlushRange(ctx context.Context, r store.Range) (store.Outcome, error) {
	if r.PrevID == journal.StartID {
		m.together.Done()
		m.together.Wait()
	}
	out, err := m.Stock.FlushRange(ctx, r)
	if errors.Is(err, store.ErrFlushConflict) {
		m.conflicts.Add(1)
	}
	return out, err
}

func TestStockFlusher_TwoWithTheSameEntries(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		for range 10 {
			s.reserve(t, freshOrder())
		}
		m := &fakeConcurrentStock{Stock: s.sql}
		m.together.Add(2)
		var wg sync.WaitGroup
		for range 2 {
			f := s.flusher(m, func(c *workers.FlushConfig) { c.Batch = 3 })
			wg.Go(func() {
				for n := 1; n > 0; {
					var err error
					if n, err = f.RunOnce(t.Context()); err != nil {
						t.Errorf("iteration: %v", err)
						return
					}
				}
			})
		}
		wg.Wait()
		if m.conflicts.Load() == 0 {
			t.Error("the two never met, so the test shows nothing")
		}
		s.wantStock(t, 80, 90)
	})
}

// TestStockFlusher_Behind: it sleeps while another one flushes, and the row of the dedup log that could have
// stopped it is pruned. The offset in SQL alone stops it.
func TestStockFlusher_Behind(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		sleeper := s.flusher(s.sql)
		s.reserve(t, freshOrder())
		mustRun(t, sleeper.RunOnce, 1)
		var last journal.Offset
		for range 3 {
			last = s.reserve(t, freshOrder())
		}
		cfg := workers.DefaultFlushConfig()
		cfg.Batch = 1
		elsewhere := workers.NewStockFlusher(cfg, s.journal, s.sql, s.snapshots(), journal.NewProgress(), quiet)
		mustRun(t, elsewhere.RunOnce, 1)
		mustRun(t, elsewhere.RunOnce, 1)
		if err := s.sql.PruneDedupLog(t.Context(), 0, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := sleeper.RunOnce(t.Context()); err != nil {
			t.Errorf("the iteration that came too late failed: %v", err)
		}
		s.wantStock(t, 94, 97)
		now, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.progress.Wait(now, last, ""); err == nil {
			t.Error("it says that SQL is at the last entry, which nobody has applied")
		}
		mustRun(t, sleeper.RunOnce, 1)
		s.wantStock(t, 92, 96)
		s.wantPlace(t, last)
	})
}

func TestStockFlusher_ManyApplyEachEntryOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 2 {
			f := s.flusher(s.sql, func(c *workers.FlushConfig) { c.Batch = 4 })
			wg.Go(func() { f.Run(ctx) })
		}
		var last journal.Offset
		for i := range 30 {
			o := freshOrder()
			last = s.reserve(t, o)
			if i%3 == 0 {
				last = s.release(t, o)
			}
		}
		wait, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := s.progress.Wait(wait, last, ""); err != nil {
			t.Errorf("SQL did not come to the last entry: %v", err)
		}
		stop()
		wg.Wait()
		s.wantStock(t, 60, 80)
		s.wantPlace(t, last)
	})
}

// fakeLostCommitReply commits, and then fails as if the reply to the commit were lost.
type fakeLostCommitReply struct {
	*store.Stock
	left int
}

func (c *fakeLostCommitReply) FlushRange(ctx context.Context, r store.Range) (store.Outcome, error) {
	out, err := c.Stock.FlushRange(ctx, r)
	if err == nil && c.left > 0 {
		c.left--
		return store.Outcome{}, errDown
	}
	return out, err
}

// TestStockFlusher_LostCommitResponse is the crash between commit and memory (I6).
func TestStockFlusher_LostCommitResponse(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		s.reserve(t, freshOrder())
		last := s.reserve(t, freshOrder())
		first := s.flusher(&fakeLostCommitReply{Stock: s.sql, left: 1})
		mustFail(t, func(ctx context.Context) (int, error) { _, err := first.RunOnce(ctx); return 0, err }, errDown)
		s.wantStock(t, 96, 98)
		mustRun(t, first.RunOnce, 0)
		mustRun(t, s.flusher(s.sql).RunOnce, 0)
		s.wantStock(t, 96, 98)
		s.wantPlace(t, last)
	})
}

func TestStockFlusher_BadEntry(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		unknown, tooMany, fine := freshOrder(), freshOrder(), freshOrder()
		epoch := s.reserve(t, freshOrder()).Epoch
		bad1 := s.addReserved(t, epoch, unknown, "A:-1,nope:-1", snapshot(unknown))
		s.reserve(t, freshOrder())
		bad2 := s.addReserved(t, epoch, tooMany, "B:-101", snapshot(tooMany))
		unreadable := s.add(t, epoch, map[string]string{"kind": "?", "order": "o", "time": "1", "snapshot": "\xff"})
		last := s.reserve(t, fine)

		drained(t, s.flusher(s.sql).RunOnce)
		s.wantStock(t, 94, 97)
		s.wantPlace(t, last)
		got := deadLetters(t, db)
		for id, o := range map[string]string{bad1: string(unknown.ID), bad2: string(tooMany.ID), unreadable: ""} {
			f := got[fmt.Sprintf("journal/0/%d/%s", epoch, id)]
			if f.Source != "stock_flusher" || f.OrderID != o || f.Reason == "" || len(f.Payload) == 0 {
				t.Errorf("the dead letter of %s is %+v; want one of order %q with reason and payload", id, f, o)
			}
		}
		if len(got) != 3 {
			t.Errorf("%d letters: %v; want 3", len(got), got)
		}
		if err := s.progress.Wait(t.Context(), last, unknown.ID); !errors.Is(err, journal.ErrStepNotApplied) {
			t.Errorf("who waits for a refused order hears %v; want ErrStepNotApplied", err)
		}
		if err := s.progress.Wait(t.Context(), last, fine.ID); err != nil {
			t.Errorf("who waits for its neighbour hears %v", err)
		}
	})
}

func TestStockFlusher_DurabilitySQLWritesRows(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		f := s.flusher(s.sql, withOrders)
		paid, declined := freshOrder(), freshOrder()
		s.reserve(t, paid)
		s.reserve(t, declined)
		drained(t, f.RunOnce)
		wantState(t, s.orders, paid.ID, order.Pending)
		s.settle(t, paid)
		last := s.release(t, declined)
		drained(t, f.RunOnce)
		wantState(t, s.orders, paid.ID, order.Paid)
		if o, err := s.orders.Get(t.Context(), declined.ID); err != nil || o.State != order.Cancelled || o.CancelReason.Text != "declined" {
			t.Errorf("the declined order is %v %q (%v)", o.State, o.CancelReason, err)
		}
		s.wantStock(t, 98, 99)
		s.wantPlace(t, last)
	})
}

func TestStockFlusher_DurabilityJournalWritesNoRow(t *testing.T) {
	s := openShop(t, openSQLite(t))
	o := freshOrder()
	s.reserve(t, o)
	s.flush(t)
	s.wantStock(t, 98, 99)
	wantNoRow(t, s.orders, o.ID)
}

// TestStockFlusher_UnwritableRowTakesNoStock shows that both are one transaction, although stock comes first in it.
func TestStockFlusher_UnwritableRowTakesNoStock(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		bad, unreadable, good := freshOrder(), freshOrder(), freshOrder()
		bad.Total++ // CHECK (total = items_total + shipping_total)
		epoch := s.reserve(t, bad).Epoch
		id := s.addReserved(t, epoch, unreadable, "A:-5", []byte("\xff no snapshot"))
		last := s.reserve(t, good)
		drained(t, s.flusher(s.sql, withOrders).RunOnce)
		s.wantStock(t, 98, 99)
		wantNoRow(t, s.orders, bad.ID)
		wantState(t, s.orders, good.ID, order.Pending)
		got := deadLetters(t, db)
		if f := got[fmt.Sprintf("journal/0/%d/%s", epoch, id)]; len(got) != 2 || f.OrderID != string(unreadable.ID) {
			t.Errorf("letters = %v; want those of both orders", got)
		}
		for _, o := range []order.Order{bad, unreadable} {
			if err := s.progress.Wait(t.Context(), last, o.ID); !errors.Is(err, journal.ErrStepNotApplied) {
				t.Errorf("who waits for %s hears %v; want ErrStepNotApplied", o.ID, err)
			}
		}
	})
}

func TestStockFlusher_WaiterOfADuplicate(t *testing.T) {
	s := openShop(t, openSQLite(t))
	f, first, second := s.flusher(s.sql, withOrders), anOrder("k"), anOrder("k")
	s.reserve(t, first)
	drained(t, f.RunOnce)
	s.reserve(t, second) // Redis has lost the marker, so it takes the key a second time.
	last := s.settle(t, second)
	drained(t, f.RunOnce)
	wantState(t, s.orders, first.ID, order.Pending)
	wantState(t, s.orders, second.ID, order.Cancelled)
	if err := s.progress.Wait(t.Context(), last, first.ID); err != nil {
		t.Errorf("the first order: %v", err)
	}
	if err := s.progress.Wait(t.Context(), last, second.ID); !errors.Is(err, journal.ErrStepNotApplied) {
		t.Errorf("the second order: %v; want ErrStepNotApplied", err)
	}
}

func TestStockFlusher_AdjustmentIsBookedWithItsStock(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		if _, _, err := s.Adjust(t.Context(), 1, order.Adjustment{ID: "a1", SKU: "A", Units: 7, Reason: "found", Actor: "op"}); err != nil {
			t.Fatal(err)
		}
		drained(t, s.flusher(s.sql, withOrders).RunOnce)
		s.wantStock(t, 107, 100)
		a, err := s.sql.FindAdjustment(t.Context(), "a1")
		if err != nil || a.SKU != "A" || a.Units != 7 || a.Reason != "found" || a.Actor != "op" {
			t.Errorf("the adjustment is %+v (%v)", a, err)
		}
	})
}

// TestStockFlusher_ClosingEpochIsFlushedToItsEnd wipes the epoch's number only: the journal is still there, bad entries included.
func TestStockFlusher_ClosingEpochIsFlushedToItsEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		before := s.reserve(t, freshOrder())
		s.flush(t)
		running := s.flusher(s.sql)
		mustRun(t, running.RunOnce, 0)
		bad := s.addReserved(t, before.Epoch, freshOrder(), "nope:-1", []byte("x"))
		s.add(t, before.Epoch, map[string]string{"kind": "?"})
		for range 3 {
			s.reserve(t, freshOrder())
		}
		s.nextEpoch(t)
		s.wantStock(t, 92, 96)
		if got := deadLetters(t, db); len(got) != 2 || got[fmt.Sprintf("journal/0/%d/%s", before.Epoch, bad)].ID == 0 {
			t.Errorf("letters = %v; want those of both bad entries", got)
		}
		after := s.reserve(t, freshOrder())
		if after.Epoch != before.Epoch+1 {
			t.Fatalf("epoch %d after %d", after.Epoch, before.Epoch)
		}
		drained(t, running.RunOnce)
		s.wantStock(t, 90, 95)
		s.wantPlace(t, after)
	})
}

// nextEpoch lets Redis forget the epoch, as after FLUSHALL, and opens the next one.
func (s *shop) nextEpoch(t *testing.T) {
	t.Helper()
	c := s.redis.Client()
	if err := c.Do(t.Context(), c.B().Del().Key(s.keys.Epoch()).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatalf("open the next epoch: %v", err)
	}
}

func TestStockFlusher_WaitsForTheFirstEpoch(t *testing.T) {
	s := openShop(t, openSQLite(t))
	empty := store.NewStock(openSQLite(t))
	mustFail(t, s.flusher(empty).RunOnce, journal.ErrNoEpoch)
}

// fakePruningStock is SQL that counts how often the log is pruned.
type fakePruningStock struct {
	mu     sync.Mutex
	at     string
	pruned []int
}

func (p *fakePruningStock) OpenEpoch(ctx context.Context, partition uint8) (journal.Epoch, error) {
	return p.EpochAt(ctx, partition, 1)
}

func (p *fakePruningStock) EpochAt(context.Context, uint8, int64) (journal.Epoch, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return journal.Epoch{Number: 1, LastID: p.at, Durability: store.DurabilityJournal}, nil
}

func (p *fakePruningStock) FlushRange(_ context.Context, r store.Range) (store.Outcome, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at = r.LastID
	return store.Outcome{}, nil
}

func (*fakePruningStock) SkipEntry(context.Context, store.Range, store.DeadLetter) error {
	return errDown
}

func (p *fakePruningStock) PruneDedupLog(_ context.Context, _ uint8, keep int) error {
	p.pruned = append(p.pruned, keep)
	return nil
}

// TestStockFlusher_DedupLogIsPruned flushes entry by entry, so that each is a row of the log (I11).
func TestStockFlusher_DedupLogIsPruned(t *testing.T) {
	s := openShop(t, openSQLite(t))
	fields := map[string]string{"kind": "A", "order": "a", "deltas": "A:1", "time": "1"}
	for range workers.PruneInterval {
		s.add(t, 1, fields)
	}
	p := &fakePruningStock{at: journal.StartID}
	f := s.flusher(p, func(c *workers.FlushConfig) { c.Batch, c.KeepLogRows, c.Block = 1, 17, time.Millisecond })
	drained(t, f.RunOnce)
	if len(p.pruned) != 1 || p.pruned[0] != 17 {
		t.Errorf("after %d flushes the log was pruned to %v; want once, to 17", workers.PruneInterval, p.pruned)
	}
}
