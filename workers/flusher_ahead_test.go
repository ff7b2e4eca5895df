package workers_test

import (
	"context"
	"sync"
	"testing"
	"time"

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

// TestStockFlusher_ReadsTheNextBatchWhileOneCommits removes the journal while the first batch is flushed, when the second was read: only a
// flusher that had read it can still flush it.
func TestStockFlusher_ReadsTheNextBatchWhileOneCommits(t *testing.T) {
	s := openShop(t, openSQLite(t))
	var last journal.Offset
	for range 6 {
		last = s.reserve(t, freshOrder())
	}
	removed := false
	f := s.flusher(&hookedFlush{Stock: s.sql, before: func(store.Range) error {
		if !removed {
			removed = true
			<-time.After(20 * briefly) // The read ahead takes less than a millisecond.
			return s.journal.Remove(t.Context(), last.Epoch)
		}
		return nil
	}}, batchOf(3))
	mustRun(t, f.RunOnce, 3)
	mustRun(t, f.RunOnce, 3)
	s.wantStock(t, 88, 94)
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
