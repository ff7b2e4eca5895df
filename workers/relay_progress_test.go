package workers_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// countingEpochs counts how often the flusher's offset is read.
type countingEpochs struct {
	*store.Stock
	reads atomic.Int64
}

func (c *countingEpochs) EpochAt(ctx context.Context, partition uint8, number int64) (journal.Epoch, error) {
	c.reads.Add(1)
	return c.Stock.EpochAt(ctx, partition, number)
}

// TestOrderRelay_WaitsForTheFlusherOfItsProcess: it reads the offset from SQL once, after the flusher of its process has come there. Only if that takes
// longer than MaxProgressWait, it also reads after each of these.
func TestOrderRelay_WaitsForTheFlusherOfItsProcess(t *testing.T) {
	s := openShop(t, openSQLite(t))
	s.reserve(t, freshOrder())
	s.flush(t) // The flusher works on the epoch.
	o := freshOrder()
	s.reserve(t, o)
	s.settle(t, o)
	var out fakeProducer
	sql := &countingEpochs{Stock: s.sql}
	relay := s.relayOn(sql, &out, func(c *workers.RelayConfig) { c.FlushWait = patience }).WithProgress(s.progress)
	began := time.Now()
	waits := func() int64 { return int64(time.Since(began) / workers.MaxProgressWait) }
	var wg sync.WaitGroup
	wg.Go(func() { mustRun(t, relay.RunOnce, 3) })
	<-time.After(10 * briefly) // Nothing happens meanwhile.
	if n := sql.reads.Load(); n > waits() || len(out.messages()) != 0 {
		t.Errorf("%d reads and %d messages before the flush", n, len(out.messages()))
	}
	s.flush(t)
	wg.Wait()
	if n := sql.reads.Load(); n < 1 || n > 1+waits() || len(out.messages()) != 1 {
		t.Errorf("%d reads and %d messages after the flush; want one of each", n, len(out.messages()))
	}
}

// TestOrderRelay_ProgressAloneIsNotEnough: SQL has lost commits that the progress of the process counts. The relay believes SQL.
func TestOrderRelay_ProgressAloneIsNotEnough(t *testing.T) {
	s := openShop(t, openSQLite(t))
	last := s.reserve(t, freshOrder())
	s.progress.Set(last)
	var out fakeProducer
	relay := s.relay(&out).WithProgress(s.progress)
	if _, err := relay.RunOnce(t.Context()); err == nil || len(out.messages()) != 0 {
		t.Errorf("relayed %d messages (%v) before SQL had the entry", len(out.messages()), err)
	}
}
