package stock_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

// changesMany are more changes than the stream keeps.
const changesMany = 10_000

// next reads until something was changed or missed.
func next(t *testing.T, tail *journal.Tail) ([]order.ID, bool) {
	t.Helper()
	for {
		changed, missed, err := tail.Next(t.Context())
		if err != nil {
			t.Fatalf("next: %v", err)
		}
		if missed || len(changed) > 0 {
			return changed, missed
		}
	}
}

func wantChanged(t *testing.T, tail *journal.Tail, want ...order.ID) {
	t.Helper()
	var got []order.ID
	for len(got) < len(want) {
		changed, missed := next(t, tail)
		if missed {
			t.Errorf("something was missed before %v", want)
		}
		got = append(got, changed...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("changed: %v; want %v", got, want)
	}
}

func TestTail_JournalAndChanges(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		changes, tail := journal.NewChanges(s.keys.Keys, s.redis, stubPermit{}), journal.NewTail(s.journal, s.epochs)
		before := request("before", units("A", 1))
		s.mustReserve(t, before)
		if changed, missed := next(t, tail); !missed || len(changed) > 0 {
			t.Errorf("the first reading: %v, missed %v; want a beginning at the end", changed, missed)
		}
		r := request("k", units("A", 1))
		s.mustReserve(t, r)
		wantChanged(t, tail, r.OrderID)
		if _, _, err := s.Adjust(t.Context(), 1, order.Adjustment{ID: "a1", SKU: "A", Units: 1, Reason: "r", Actor: "o"}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Settle(t.Context(), r.OrderID, "ch", ""); err != nil {
			t.Fatal(err)
		}
		wantChanged(t, tail, r.OrderID) // and not the adjustment
		published := []journal.Change{{OrderID: before.OrderID, State: order.Shipped, At: time.Now()}, {OrderID: r.OrderID, State: order.ShipFailed, At: time.Now()}}
		if err := changes.Publish(t.Context(), published); err != nil {
			t.Fatal(err)
		}
		wantChanged(t, tail, before.OrderID, r.OrderID)
		tail.Reset()
		if _, missed := next(t, tail); !missed {
			t.Error("after Reset nothing was missed")
		}
	})
}

// TestTail_SlowerThanTrimming trims away what it has not read, in either stream, and expects it to report that only then.
func TestTail_SlowerThanTrimming(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		changes, tail := journal.NewChanges(s.keys.Keys, s.redis, stubPermit{}), journal.NewTail(s.journal, s.epochs)
		next(t, tail)
		var last stock.Reservation
		var r stock.Request
		for _, key := range []string{"1", "2", "3"} {
			r = request(key, units("A", 1))
			last = s.mustReserve(t, r)
		}
		if _, err := s.journal.Trim(t.Context(), last.Offset.Epoch, last.Offset.ID); err != nil {
			t.Fatal(err)
		}
		if changed, missed := next(t, tail); !missed || !slices.Equal(changed, []order.ID{r.OrderID}) {
			t.Errorf("behind the trimming: %v, missed %v; want %s and a loss", changed, missed, r.OrderID)
		}
		if changed, missed, err := tail.Next(t.Context()); err != nil || missed || len(changed) > 0 {
			t.Errorf("with nothing new: %v, missed %v, %v", changed, missed, err)
		}
		one := journal.Change{OrderID: r.OrderID, State: order.Shipped, At: time.Now()}
		if err := changes.Publish(t.Context(), []journal.Change{one}); err != nil {
			t.Fatal(err)
		}
		wantChanged(t, tail, r.OrderID)
		if err := changes.Publish(t.Context(), slices.Repeat([]journal.Change{one}, changesMany)); err != nil {
			t.Fatal(err)
		}
		if _, missed := next(t, tail); !missed {
			t.Errorf("%d changes, more than are kept, and nothing was missed", changesMany)
		}
	})
}

func TestTail_NextEpoch(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		tail := journal.NewTail(s.journal, s.epochs)
		next(t, tail)
		c := s.redis.Client()
		if err := c.Do(t.Context(), c.B().Del().Key(s.keys.Epoch()).Build()).Error(); err != nil {
			t.Fatal(err)
		}
		if err := s.epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, missed := next(t, tail); !missed {
			t.Error("another epoch was opened, and nothing was missed")
		}
		r := request("k", units("A", 1))
		s.mustReserve(t, r)
		wantChanged(t, tail, r.OrderID)
	})
}

func TestChanges_PublishWithoutRedis(t *testing.T) {
	r, err := redisconn.Connect(redisconn.Config{Addr: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	err = journal.NewChanges(journal.Keys{Namespace: "x"}, r, stubPermit{}).Publish(t.Context(), []journal.Change{{OrderID: "o"}})
	if !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("publish: %v; want ErrUnavailable", err)
	}
}
