package stock_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/realparts"
)

// books is SQL as far as this package needs it: the epochs and the stock at the flushed position.
type books struct {
	mu    sync.Mutex
	epoch stock.Epoch
	units map[order.SKU]int64
	// closed are the epochs before.
	closed map[int64]stock.Epoch
	// standing is what SQL knows of orders, beside the stock.
	standing map[order.ID]stock.Standing
}

func (b *books) Standing(_ context.Context, id order.ID) (stock.Standing, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.standing[id], nil
}

func (b *books) OpenEpoch(context.Context, uint8) (stock.Epoch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.epoch.Number == 0 {
		return stock.Epoch{}, order.ErrNotFound
	}
	return b.epoch, nil
}

func (b *books) NextEpoch(_ context.Context, _ uint8, expect int64, next stock.Epoch) (stock.Epoch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.epoch.Number != expect {
		return stock.Epoch{}, order.ErrAlreadyExists
	}
	if b.closed == nil {
		b.closed = map[int64]stock.Epoch{}
	}
	b.epoch.Closed = true
	b.closed[b.epoch.Number] = b.epoch
	b.epoch = next
	b.epoch.Number, b.epoch.LastID, b.epoch.OpenedAt = expect+1, stock.StartID, time.Now()
	return b.epoch, nil
}

func (b *books) EpochAt(_ context.Context, _ uint8, number int64) (stock.Epoch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, ok := b.closed[number]; ok {
		return e, nil
	}
	if b.epoch.Number != number {
		return stock.Epoch{}, order.ErrNotFound
	}
	return b.epoch, nil
}

func (b *books) Snapshot(_ context.Context, _ uint8, skus []order.SKU) (stock.Epoch, map[order.SKU]int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[order.SKU]int64{}
	for _, sku := range skus {
		if n, ok := b.units[sku]; ok {
			out[sku] = n
		}
	}
	return b.epoch, out, nil
}

// apply is the stock flusher in one line: it moves SQL's stock and position over the entries.
func (b *books) apply(entries []stock.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range entries {
		for _, d := range e.Deltas {
			b.units[d.SKU] += d.Units
		}
		b.epoch.LastID = e.ID
	}
}

type alwaysPermit struct{}

func (alwaysPermit) Permit() error { return nil }
func (alwaysPermit) Report(error)  {}

func (alwaysPermit) Timeout() time.Duration { return time.Second }

// shop is a stock on one Redis with its books.
type shop struct {
	*stock.Stock
	keys    stock.Keys
	redis   *stock.Redis
	epochs  *stock.Epochs
	journal *stock.Journal
	books   *books
}

// onBoth runs the test on a real Redis and on the embedded one, which must behave the same.
func onBoth(t *testing.T, test func(t *testing.T, cfg stock.RedisConfig)) {
	t.Run("redis", func(t *testing.T) { test(t, stock.RedisConfig{Addr: realparts.Redis(t)}) })
	t.Run("miniredis", func(t *testing.T) {
		test(t, stock.RedisConfig{Addr: miniredis.RunT(t).Addr(), Embedded: true})
	})
}

func openShop(t *testing.T, cfg stock.RedisConfig, limits stock.Limits, units map[order.SKU]int64) *shop {
	t.Helper()
	s := &shop{keys: stock.Keys{Namespace: "test-" + rand.Text()}, books: &books{units: units}}
	s.connect(t, cfg, limits)
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatalf("open the first epoch: %v", err)
	}
	return s
}

func (s *shop) connect(t *testing.T, cfg stock.RedisConfig, limits stock.Limits) {
	t.Helper()
	r, err := stock.Connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	s.redis = r
	s.journal = stock.NewJournal(s.keys, r, alwaysPermit{})
	drain := func(ctx context.Context, epoch int64) error {
		for {
			from, _ := s.books.OpenEpoch(ctx, 0)
			entries, err := s.journal.ReadRemaining(ctx, epoch, from.LastID, 100)
			if err != nil || len(entries) == 0 {
				return err
			}
			s.books.apply(entries)
		}
	}
	s.epochs = stock.NewEpochs(s.keys, r, s.books, drain, "journal", slog.New(slog.DiscardHandler))
	s.Stock = stock.New(s.keys, r, s.epochs, s.books, limits, alwaysPermit{})
}

func request(key string, demand ...order.Demand) stock.Request {
	return stock.Request{
		OrderID: order.NewID(0, time.Now()), Customer: "c1", Key: key, Fingerprint: []byte("f-" + key),
		Demand: demand, Snapshot: []byte("snapshot \x00\xff " + key),
	}
}

func units(sku order.SKU, n int) order.Demand { return order.Demand{SKU: sku, Quantity: n} }

func (s *shop) mustReserve(t *testing.T, r stock.Request) stock.Reservation {
	t.Helper()
	res, err := s.Reserve(t.Context(), r)
	if err != nil {
		t.Fatalf("reserve: %v", err)
	}
	return res
}

func (s *shop) wantLeft(t *testing.T, sku order.SKU, want int64) {
	t.Helper()
	got, err := s.Available(t.Context(), []order.SKU{sku})
	if err != nil || got[sku] != want {
		t.Errorf("available of %s = %v, %v; want %d", sku, got, err, want)
	}
}
