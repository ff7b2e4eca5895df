package workers_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// hookedFlush calls a function before each flush.
type hookedFlush struct {
	*store.Stock
	before func(r store.Range) error
}

func (h *hookedFlush) FlushRange(ctx context.Context, r store.Range) (store.Outcome, error) {
	if err := h.before(r); err != nil {
		return store.Outcome{}, err
	}
	return h.Stock.FlushRange(ctx, r)
}

func batchOf(n int64) func(*workers.FlushConfig) {
	return func(c *workers.FlushConfig) { c.Batch = n }
}

// fakeCountingPermit counts the calls of Redis that are over.
type fakeCountingPermit struct {
	stubPermit
	reports atomic.Int64
}

func (p *fakeCountingPermit) Report(error) { p.reports.Add(1) }

// TestStockFlusher_ReadsTheNextBatchWhileOneCommits removes the journal while the second batch is flushed, when the third was read: only a
// flusher that had read it can still flush it.
func TestStockFlusher_ReadsTheNextBatchWhileOneCommits(t *testing.T) {
	s, calls := openShop(t, openSQLite(t)), &fakeCountingPermit{}
	s.journal = journal.New(s.keys.Keys, s.redis, calls)
	var last journal.Offset
	for range 9 {
		last = s.reserve(t, freshOrder())
	}
	flushes, before := 0, int64(0)
	f := s.flusher(&hookedFlush{Stock: s.sql, before: func(store.Range) error {
		if flushes++; flushes == 2 {
			// It has the second batch already: its only call of the journal is the one that reads the third.
			eventually(t, "the read ahead", func() bool { return calls.reports.Load() > before })
			return s.journal.Remove(t.Context(), last.Epoch)
		}
		return nil
	}}, batchOf(3))
	mustRun(t, f.RunOnce, 3)
	before = calls.reports.Load()
	mustRun(t, f.RunOnce, 3)
	mustRun(t, f.RunOnce, 3)
	s.wantStock(t, 82, 91)
	s.wantPlace(t, last)
}

// TestStockFlusher_DropsTheBatchReadAhead whenever SQL's offset is not where the batch begins, so that no entry is applied twice or left out.
func TestStockFlusher_DropsTheBatchReadAhead(t *testing.T) {
	t.Run("a flush fails", func(t *testing.T) {
		s := openShop(t, openSQLite(t))
		for range 9 {
			s.reserve(t, freshOrder())
		}
		fails := true
		f := s.flusher(&hookedFlush{Stock: s.sql, before: func(store.Range) error {
			if fails {
				fails = false
				return errDown
			}
			return nil
		}}, batchOf(3))
		if _, err := f.RunOnce(t.Context()); err == nil {
			t.Error("the flush did not fail")
		}
		if n := drained(t, f.RunOnce); n != 9 {
			t.Errorf("%d entries flushed; want 9", n)
		}
		s.wantStock(t, 82, 91)
	})
	t.Run("another flusher was faster", func(t *testing.T) {
		s := openShop(t, openSQLite(t))
		for range 9 {
			s.reserve(t, freshOrder())
		}
		f, other := s.flusher(s.sql, batchOf(3)), s.flusher(s.sql, batchOf(4))
		mustRun(t, f.RunOnce, 3)
		mustRun(t, other.RunOnce, 4)
		drained(t, f.RunOnce)
		s.wantStock(t, 82, 91)
	})
	t.Run("two at once", func(t *testing.T) {
		s := openShop(t, openSQLite(t))
		for range 40 {
			s.reserve(t, freshOrder())
		}
		var wg sync.WaitGroup
		for _, n := range []int64{3, 4} {
			wg.Go(func() { drained(t, s.flusher(s.sql, batchOf(n)).RunOnce) })
		}
		wg.Wait()
		s.wantStock(t, 20, 60)
	})
}
