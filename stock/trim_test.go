package stock_test

import (
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

// TestJournal_TrimmedToAnEntryThatIsNotFlushed: one relay holds an entry until the flusher has applied it, and another one trims behind what is
// acknowledged. The flusher's next entry is still there: SQL has lost nothing, and the epoch must stay open.
func TestJournal_TrimmedToAnEntryThatIsNotFlushed(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		flushed := s.mustReserve(t, request("k1", units("A", 1))).Offset
		s.flushAll(t)
		held := s.mustReserve(t, request("k2", units("A", 2))).Offset
		for range 2 { // The first call creates the group.
			if _, err := s.journal.Next(t.Context(), flushed.Epoch, "relay", 10, time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.journal.Ack(t.Context(), flushed.Epoch, []string{flushed.ID}); err != nil {
			t.Fatal(err)
		}
		id, _, err := s.journal.Relayed(t.Context(), flushed.Epoch)
		if err != nil || id != held.ID {
			t.Fatalf("relayed up to %s, %v; want %s", id, err, held.ID)
		}
		if n, err := s.journal.Trim(t.Context(), flushed.Epoch, id); err != nil || n != 1 {
			t.Fatalf("%d entries were trimmed, %v; want 1", n, err)
		}
		entries, err := s.journal.Read(t.Context(), flushed.Epoch, flushed.ID, 10)
		if err != nil || len(entries) != 1 || entries[0].ID != held.ID {
			t.Errorf("the flusher reads %v, %v; want the entry %s", entries, err, held.ID)
		}
		if err := s.epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now, err := s.epochs.Current(); err != nil || now.Number != flushed.Epoch {
			t.Errorf("epoch %d, %v; want %d to stay open", now.Number, err, flushed.Epoch)
		}
		s.flushAll(t)
		s.wantLeft(t, "A", 7)
	})
}
