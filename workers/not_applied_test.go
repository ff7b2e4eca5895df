package workers_test

import (
	"context"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

func TestOrderWriter_RecordStaysBesideADeadLetter(t *testing.T) {
	bad := freshOrder()
	bad.Total++
	d := newWriterFixture(openSQLite(t), nil, 100, settledBody(bad))
	mustRun(t, d.RunOnce, 1)
	if _, ok := d.hot.expired[bad.ID]; ok {
		t.Error("the record of an order without a row was expired")
	}
}

func TestStockFlusher_ReleaseOfADeadReservation(t *testing.T) {
	s := openShop(t, openSQLite(t))
	// SQL has less than Redis: an adjustment that SQL could not take is a dead letter.
	if _, err := s.sql.FlushRange(t.Context(), store.Range{Epoch: 1, PrevID: "0-0", FirstID: "0-1", LastID: "0-1", Entries: 1, Deltas: map[order.SKU]int64{"B": -99}, Durability: store.DurabilityJournal}); err != nil {
		t.Fatal(err)
	}
	o := freshOrder()
	o.Lines[1].Quantity = 5
	s.addReserved(t, 1, o, "B:-5", snapshot(o))
	s.flush(t)
	s.add(t, 1, map[string]string{"kind": "L", "order": string(o.ID), "deltas": "B:5", "snapshot": string(snapshot(o)), "time": "1"})
	s.flush(t)
	s.wantStock(t, 100, 1)
}

func TestStockFlusher_DrainOfAClosedEpochEnds(t *testing.T) {
	s := openShop(t, openSQLite(t))
	s.reserve(t, freshOrder())
	s.nextEpoch(t)
	s.addReserved(t, 1, freshOrder(), "A:-1", []byte("x"))
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if err := s.flusher(s.sql).Drain(ctx, 1); err != nil || ctx.Err() != nil {
		t.Errorf("still draining after %s: %v", patience, err)
	}
}

func TestOrderRelay_RefusedBatchIsSentSoon(t *testing.T) {
	s, out := openShop(t, openSQLite(t)), &fakeProducer{err: errDown}
	// By claims, of which each brings one entry, the ten would take longer than patience.
	r := s.relay(out, func(c *workers.RelayConfig) { c.Batch, c.ClaimIdle = 1, 10*patience })
	for range 10 {
		s.reserve(t, freshOrder())
	}
	s.flush(t)
	for range 10 {
		_, _ = r.RunOnce(t.Context())
	}
	out.fail(nil)
	began := time.Now()
	for len(events(t, out.messages())) < 10 && time.Since(began) < patience {
		_, _ = r.RunOnce(t.Context())
	}
	if n := len(events(t, out.messages())); n != 10 {
		t.Errorf("%s after the broker's return %d of 10 entries were sent", patience, n)
	}
}

func TestOrderRelay_EntriesBehindAPoisonEntry(t *testing.T) {
	s, out := openShop(t, openSQLite(t)), &fakeProducer{}
	const idle = 10 * patience // much longer than the entries take on a busy machine
	r := alwaysClaiming(s.relay(out, func(c *workers.RelayConfig) { c.ClaimIdle = idle }))
	mustRun(t, r.RunOnce, 0)
	before, after := freshOrder(), freshOrder()
	s.reserve(t, before)
	s.add(t, 1, map[string]string{"kind": "?"})
	s.reserve(t, after)
	s.flush(t)
	began := time.Now()
	for len(events(t, out.messages())) < 2 && time.Since(began) < patience {
		_, _ = r.RunOnce(t.Context())
	}
	if n := len(events(t, out.messages())); n != 2 {
		t.Errorf("%s after the flush %d of 2 entries were sent, ClaimIdle is %s", patience, n, idle)
	}
}
