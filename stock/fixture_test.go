package stock_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/realparts"
)

// fakeStore is SQL as far as stock and journal use it: the epochs and the stock at the flushed offset.
type fakeStore struct {
	mu    sync.Mutex
	epoch journal.Epoch
	units map[order.SKU]int64
	// closed are the epochs before.
	closed map[int64]journal.Epoch
	// standing is what SQL knows of orders, beside the stock.
	standing map[order.ID]order.Status
	// bought are the orders of each customer, oldest first; boughtErr is the error of reading them.
	bought    map[order.CustomerID][]order.Bought
	boughtErr error
}

func (b *fakeStore) Bought(_ context.Context, customer order.CustomerID, from, before order.ID) ([]order.Bought, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []order.Bought
	for _, o := range b.bought[customer] {
		if from <= o.ID && o.ID < before {
			out = append(out, o)
		}
	}
	return out, b.boughtErr
}

func (b *fakeStore) OrderStatus(_ context.Context, id order.ID) (order.Status, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.standing[id], nil
}

func (b *fakeStore) OpenEpoch(context.Context, uint8) (journal.Epoch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.epoch.Number == 0 {
		return journal.Epoch{}, journal.ErrNoEpoch
	}
	return b.epoch, nil
}

func (b *fakeStore) NextEpoch(_ context.Context, closed journal.Offset, next journal.Epoch) (journal.Epoch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.epoch.Number != closed.Epoch || closed.ID != "" && b.epoch.LastID != closed.ID {
		return journal.Epoch{}, journal.ErrEpochConflict
	}
	b.replace(next)
	return b.epoch, nil
}

// replace closes the epoch and opens next.
func (b *fakeStore) replace(next journal.Epoch) {
	if b.closed == nil {
		b.closed = map[int64]journal.Epoch{}
	}
	b.epoch.Closed = true
	b.closed[b.epoch.Number] = b.epoch
	next.Number, next.LastID, next.OpenedAt = b.epoch.Number+1, journal.StartID, time.Now()
	b.epoch = next
}

// openedLongAgo makes the open epoch one that no process has confirmed for an hour.
func (b *fakeStore) openedLongAgo() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epoch.OpenedAt = time.Now().Add(-time.Hour)
}

func (b *fakeStore) OpenSQLEpoch(_ context.Context, closed journal.Epoch) (journal.Epoch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.epoch.Number != closed.Number || b.epoch.LastID != closed.LastID || !b.epoch.SeenAt.Equal(closed.SeenAt) {
		return journal.Epoch{}, journal.ErrEpochConflict
	}
	b.epoch.Undrained = closed.Durability != "sql"
	b.replace(journal.Epoch{Partition: closed.Partition, Durability: closed.Durability, Mode: journal.ModeSQL})
	return b.epoch, nil
}

func (b *fakeStore) Undrained(context.Context, uint8) (journal.Epoch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.closed {
		if e.Undrained {
			return e, nil
		}
	}
	return journal.Epoch{}, journal.ErrNoEpoch
}

func (b *fakeStore) Drained(_ context.Context, _ uint8, at journal.Offset) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.closed[at.Epoch]
	if !ok || e.LastID != at.ID || !e.Undrained {
		return journal.ErrEpochConflict
	}
	e.Undrained = false
	b.closed[at.Epoch] = e
	return nil
}

func (b *fakeStore) Seen(_ context.Context, _ uint8, number int64, at time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.epoch.Number == number {
		b.epoch.SeenAt = at
	}
	return nil
}

func (b *fakeStore) EpochAt(_ context.Context, _ uint8, number int64) (journal.Epoch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e, ok := b.closed[number]; ok {
		return e, nil
	}
	if b.epoch.Number != number {
		return journal.Epoch{}, journal.ErrNoEpoch
	}
	return b.epoch, nil
}

func (b *fakeStore) Snapshot(_ context.Context, _ uint8, skus []order.SKU) (journal.Epoch, map[order.SKU]int64, error) {
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
func (b *fakeStore) apply(entries []journal.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range entries {
		for _, d := range e.Deltas {
			b.units[d.SKU] += d.Units
		}
		b.epoch.LastID = e.ID
	}
}

type stubPermit struct{}

func (stubPermit) Permit() error { return nil }
func (stubPermit) Report(error)  {}

func (stubPermit) Timeout() time.Duration { return callTimeout }

// callTimeout bounds a call of Redis, which syncs its file before it replies, on a disk that others sync as well.
const callTimeout = 10 * time.Second

// patientLimits are the defaults, with callTimeout.
func patientLimits() stock.Limits {
	limits := stock.DefaultLimits()
	limits.Timeout = callTimeout
	return limits
}

// shop is a stock on one Redis with its SQL.
type shop struct {
	*stock.Stock
	keys    stock.Keys
	redis   *redisconn.Conn
	epochs  *journal.Epochs
	journal *journal.Journal
	sql     *fakeStore
}

// onBoth runs the test on a real Redis and on the embedded one, which must behave the same.
func onBoth(t *testing.T, test func(t *testing.T, cfg redisconn.Config)) {
	t.Run("redis", func(t *testing.T) { test(t, redisconn.Config{Addr: realparts.Redis(t)}) })
	t.Run("miniredis", func(t *testing.T) {
		test(t, redisconn.Config{Addr: miniredis.RunT(t).Addr(), Embedded: true})
	})
}

// deleteKeys deletes the shop's keys, which is FLUSHALL as far as the shop can see.
func (s *shop) deleteKeys(t *testing.T) {
	t.Helper()
	c := s.redis.Client()
	keys, err := c.Do(t.Context(), c.B().Keys().Pattern("{"+s.keys.Namespace+":*").Build()).AsStrSlice()
	if err == nil {
		err = c.Do(t.Context(), c.B().Del().Key(keys...).Build()).Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func openShop(t testing.TB, cfg redisconn.Config, limits stock.Limits, units map[order.SKU]int64) *shop {
	t.Helper()
	s := &shop{keys: stock.Keys{Keys: journal.Keys{Namespace: "test-" + rand.Text()}}, sql: &fakeStore{units: units}}
	s.connect(t, cfg, limits)
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatalf("open the first epoch: %v", err)
	}
	return s
}

func (s *shop) connect(t testing.TB, cfg redisconn.Config, limits stock.Limits) {
	t.Helper()
	r, err := redisconn.Connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	s.redis = r
	s.journal = journal.New(s.keys.Keys, r, stubPermit{})
	drain := func(ctx context.Context, epoch int64) error {
		for {
			from, _ := s.sql.OpenEpoch(ctx, 0)
			entries, err := s.journal.ReadRemaining(ctx, epoch, from.LastID, 100)
			if err != nil || len(entries) == 0 {
				return err
			}
			s.sql.apply(entries)
		}
	}
	s.epochs = s.newEpochs(s.sql, drain, "journal")
	limits.Timeout = max(limits.Timeout, callTimeout)
	s.Stock = stock.New(s.keys.Keys, r, s.epochs, s.sql, limits, stubPermit{})
}

func (s *shop) newEpochs(sql journal.EpochStore, drain func(context.Context, int64) error, durability string) *journal.Epochs {
	return journal.NewEpochs(journal.EpochsConfig{
		Keys: s.keys.Keys, Conn: s.redis, Store: sql, Drain: drain, Rewind: stock.Rewind(s.keys.Keys), Durability: durability,
		Log: slog.New(slog.DiscardHandler),
	})
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
