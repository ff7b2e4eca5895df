package stock_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/realparts"
)

// busyBooks is SQL on which something happens right after the open epoch was read once.
type busyBooks struct {
	*books

	then func()
}

func (b *busyBooks) OpenEpoch(ctx context.Context, partition uint8) (stock.Epoch, error) {
	e, err := b.books.OpenEpoch(ctx, partition)
	if then := b.then; then != nil {
		b.then = nil
		then()
	}
	return e, err
}

// TestEpochs_FlushedAndTrimmedBetweenTheReads: SQL is read before Redis. What is flushed and trimmed between the two is no loss.
func TestEpochs_FlushedAndTrimmedBetweenTheReads(t *testing.T) {
	s := openShop(t, stock.RedisConfig{Addr: realparts.Redis(t)}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	b := &busyBooks{books: s.books}
	drain := func(context.Context, int64) error { return nil }
	epochs := stock.NewEpochs(s.keys, s.redis, b, drain, "journal", slog.New(slog.DiscardHandler))
	s.mustReserve(t, request("k1", units("A", 1)))
	last := s.mustReserve(t, request("k2", units("A", 1))).Position
	b.then = func() {
		s.flushAll(t)
		if _, err := s.journal.Trim(t.Context(), last.Epoch, last.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if epoch, err := epochs.Current(); err != nil || epoch.Number != 1 {
		t.Errorf("epoch %d is open (%v); want 1: nothing was lost", epoch.Number, err)
	}
}

// TestEpochs_CommittedWhileRedisWentBack: a flusher had read the entries from the Redis of before, and commits them after the check has read
// SQL's offset. The journal that is closed ends before them, so that idempotency records are lost too.
func TestEpochs_CommittedWhileRedisWentBack(t *testing.T) {
	s := openShop(t, stock.RedisConfig{Addr: realparts.Redis(t)}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	s.mustReserve(t, request("k1", units("A", 1)))
	s.flushAll(t)
	drain := func(context.Context, int64) error {
		s.books.mu.Lock()
		defer s.books.mu.Unlock()
		s.books.epoch.LastID = fmt.Sprintf("%d-0", time.Now().Add(time.Minute).UnixMilli())
		return nil
	}
	epochs := stock.NewEpochs(s.keys, s.redis, s.books, drain, "journal", slog.New(slog.DiscardHandler))
	epochs.Distrust(1)
	if err := epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if epoch, err := epochs.Current(); err != nil || epoch.RecordsLostAt.IsZero() {
		t.Errorf("epoch %+v (%v) does not say that idempotency records were lost", epoch, err)
	}
}

// TestRewind_BeforeTheRelayReads: connections are let through while the epoch before is flushed. The relay drops what a closed journal holds
// beyond SQL's offset, and the journal. What this Redis remembers of it must be undone before.
func TestRewind_BeforeTheRelayReads(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg stock.RedisConfig) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		lost := request("lost", units("A", 1))
		s.mustReserve(t, lost)
		s.elsewhere(t)
		relayed := func(ctx context.Context, _ int64) error { return s.journal.Remove(ctx, 1) }
		epochs := stock.NewEpochs(s.keys, s.redis, s.books, relayed, "journal", slog.New(slog.DiscardHandler))
		if err := epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rec, err := s.Record(t.Context(), lost.OrderID); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("Redis still has an order that never happened: %+v (%v)", rec, err)
		}
	})
}
