package workers_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/wire"
	"github.com/spillway/spillway/workers"
)

const (
	// patience bounds what takes milliseconds on an idle machine.
	patience = 30 * time.Second
	// eventuallyMax bounds every wait for something that has to happen.
	eventuallyMax = 3 * time.Minute
	// checkInterval is the time between two checks of a condition.
	checkInterval = 2 * time.Millisecond
	// briefly is how long an iteration waits for a first journal entry.
	briefly = 10 * time.Millisecond
)

var (
	quiet = slog.New(slog.DiscardHandler)
	at    = time.Date(2026, 11, 24, 12, 0, 0, 123456000, time.UTC)
)

type stubPermit struct{}

func (stubPermit) Permit() error          { return nil }
func (stubPermit) Report(error)           {}
func (stubPermit) Timeout() time.Duration { return patience }

// onBoth runs the test on MySQL and on SQLite, migrated and empty. They mostly wait, so they do it at the same time.
func onBoth(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Run("mysql", func(t *testing.T) {
		t.Parallel()
		db := openDB(t, realparts.MySQL(t))
		if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
			t.Fatalf("migrate: %v", err)
		}
		test(t, db)
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, openSQLite(t))
	})
}

// migrated is the file of a SQLite that was migrated and is empty. Copying it is much faster than migrating for each test.
var migrated = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "workers")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "empty.db")
	db, err := store.Open(context.Background(), "sqlite:"+path)
	if err != nil {
		return nil, err
	}
	_, err = store.NewMigrator(db).Up(context.Background())
	if err = errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

func openSQLite(t testing.TB) *store.DB {
	t.Helper()
	return openDB(t, "sqlite:"+sqlitePath(t))
}

// sqlitePath returns the file of an empty database.
func sqlitePath(t testing.TB) string {
	t.Helper()
	empty, err := migrated()
	if err != nil {
		t.Fatalf("migrate: %v", err)
	}
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, empty, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openDB(t testing.TB, dsn string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// shop is a stock with 100 of A and 100 of B on a real Redis, with its tables in SQL.
type shop struct {
	*stock.Stock
	keys     stock.Keys
	redis    *redisconn.Conn
	epochs   *journal.Epochs
	journal  *journal.Journal
	progress *journal.Progress
	db       *store.DB
	sql      *store.Stock
	orders   *store.Orders
	dead     *store.DeadLetters
}

func openShop(t testing.TB, db *store.DB) *shop {
	t.Helper()
	r, err := redisconn.Connect(redisconn.Config{Addr: realparts.Redis(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	s := &shop{
		keys: stock.Keys{Keys: journal.Keys{Namespace: "test-" + rand.Text()}}, redis: r, progress: journal.NewProgress(), db: db,
		sql: store.NewStock(db), orders: store.NewOrders(db), dead: store.NewDeadLetters(db),
	}
	t.Cleanup(func() { s.clean(t) })
	limits := stock.DefaultLimits()
	limits.CustomerOrders, limits.Timeout = 0, patience
	s.journal = journal.New(s.keys.Keys, r, stubPermit{})
	drain := func(ctx context.Context, epoch int64) error { return s.flusher(s.sql).Drain(ctx, epoch) }
	s.epochs = journal.NewEpochs(journal.EpochsConfig{
		Keys: s.keys.Keys, Conn: r, Store: s.sql, Drain: drain, Rewind: stock.Rewind(s.keys.Keys), Durability: store.DurabilityJournal, Log: quiet,
	})
	s.Stock = stock.New(s.keys.Keys, r, s.epochs, s.sql, limits, stubPermit{})
	price := order.Money{Currency: "EUR", Amount: 100}
	products := []store.Product{{SKU: "A", Name: "a", Price: price, Stock: 100}, {SKU: "B", Name: "b", Price: price, Stock: 100}}
	if _, err := store.NewProducts(db).Seed(t.Context(), products); err != nil {
		t.Fatal(err)
	}
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatalf("open the first epoch: %v", err)
	}
	return s
}

// clean takes what the test left out of the shared Redis, which never evicts.
func (s *shop) clean(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	c := s.redis.Client()
	names, err := c.Do(ctx, c.B().Keys().Pattern("{"+s.keys.Namespace+":*").Build()).AsStrSlice()
	if err == nil && len(names) > 0 {
		err = c.Do(ctx, c.B().Del().Key(names...).Build()).Error()
	}
	if err != nil {
		t.Errorf("clean up: %v", err)
	}
}

func (s *shop) flusher(st workers.FlushStore, with ...func(*workers.FlushConfig)) *workers.StockFlusher {
	cfg := workers.DefaultFlushConfig()
	cfg.Block = briefly
	for _, f := range with {
		f(&cfg)
	}
	return workers.NewStockFlusher(cfg, s.journal, st, s.snapshots(), s.progress, quiet)
}

// snapshots are the places of snapshots that entries do not carry.
func (s *shop) snapshots() workers.SnapshotSources {
	return workers.SnapshotSources{Hot: stock.NewSnapshots(s.keys.Keys, s.redis, stubPermit{}), Rows: s.orders}
}

func withOrders(c *workers.FlushConfig) { c.WithOrders = true }

// flush flushes the journal to its end.
func (s *shop) flush(t *testing.T) {
	t.Helper()
	drained(t, s.flusher(s.sql).RunOnce)
}

// drained runs iterations until one finds nothing, and returns the sum of their results.
func drained(t *testing.T, iteration func(context.Context) (int, error)) int {
	t.Helper()
	for total := 0; ; {
		n, err := iteration(t.Context())
		if err != nil {
			t.Fatalf("iteration: %v", err)
		}
		if n == 0 {
			return total
		}
		total += n
	}
}

// anOrder is of 2 A and 1 B.
func anOrder(key string) order.Order {
	o := order.Order{
		ID: order.NewID(0, at), CustomerID: "c1", Currency: "EUR", Email: "a@example.com", TrackingID: "T-" + key,
		Lines:          []order.Line{{SKU: "A", Name: "Äpfel", Quantity: 2, UnitPrice: 150}, {SKU: "B", Name: "B", Quantity: 1, UnitPrice: 99}},
		Address:        order.Address{Name: "N", Street: "S", City: "C", Region: "R", PostalCode: "P", CountryCode: "DE"},
		IdempotencyKey: key, Fingerprint: []byte{1, 2, 3}, CreatedAt: at, UpdatedAt: at,
	}
	if err := o.Price(499); err != nil {
		panic(err)
	}
	return o
}

// freshOrder is an order with a unique idempotency key.
func freshOrder() order.Order { return anOrder(rand.Text()) }

func snapshot(o order.Order) []byte {
	b, err := wire.MarshalSnapshot(o)
	if err != nil {
		panic(err)
	}
	return b
}

func (s *shop) reserve(t *testing.T, o order.Order) journal.Offset {
	t.Helper()
	res, err := s.Reserve(t.Context(), stock.Request{
		OrderID: o.ID, Customer: o.CustomerID, Key: string(o.ID), Fingerprint: o.Fingerprint, Demand: o.Demand(), Snapshot: snapshot(o),
	})
	if err != nil {
		t.Fatalf("reserve: %v", err)
	}
	return res.Offset
}

func (s *shop) settle(t *testing.T, o order.Order) journal.Offset {
	t.Helper()
	p, err := s.Settle(t.Context(), o.ID, "ch-"+string(o.ID), "")
	if err != nil {
		t.Fatalf("settle: %v", err)
	}
	return p
}

func (s *shop) release(t *testing.T, o order.Order) journal.Offset {
	t.Helper()
	p, err := s.Release(t.Context(), o.ID, "declined", "")
	if err != nil {
		t.Fatalf("release: %v", err)
	}
	return p
}

// add writes an entry to an epoch's journal that no script would write.
func (s *shop) add(t *testing.T, epoch int64, fields map[string]string) (id string) {
	t.Helper()
	c := s.redis.Client()
	cmd := c.B().Xadd().Key(s.keys.Journal(epoch)).Id("*").FieldValue()
	for name, value := range fields {
		cmd = cmd.FieldValue(name, value)
	}
	id, err := c.Do(t.Context(), cmd.Build()).ToString()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// addReserved writes the entry of a reservation by hand.
func (s *shop) addReserved(t *testing.T, epoch int64, o order.Order, deltas string, snapshot []byte) (id string) {
	t.Helper()
	return s.add(t, epoch, map[string]string{
		"kind": string(journal.Reserved), "order": string(o.ID), "deltas": deltas, "snapshot": string(snapshot),
		"time": strconv.FormatInt(at.UnixMilli(), 10),
	})
}

func (s *shop) wantStock(t *testing.T, a, b int64) {
	t.Helper()
	_, units, err := s.sql.Snapshot(t.Context(), 0, []order.SKU{"A", "B"})
	if err != nil || units["A"] != a || units["B"] != b {
		t.Errorf("SQL's stock is %v (%v); want %d of A and %d of B", units, err, a, b)
	}
}

func (s *shop) wantPlace(t *testing.T, want journal.Offset) {
	t.Helper()
	e, err := s.sql.EpochAt(t.Context(), 0, want.Epoch)
	if err != nil || e.LastID != want.ID {
		t.Errorf("SQL is at %s (%v); want %s", e.LastID, err, want.ID)
	}
}

func wantState(t *testing.T, orders *store.Orders, id order.ID, want order.State) {
	t.Helper()
	if got, err := orders.Get(t.Context(), id); err != nil || got.State != want {
		t.Errorf("order %s is %v (%v); want %v", id, got.State, err, want)
	}
}

func wantNoRow(t *testing.T, orders *store.Orders, id order.ID) {
	t.Helper()
	if got, err := orders.Get(t.Context(), id); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("order %s is %v (%v); want no row", id, got.State, err)
	}
}

// deadLetters reads failed_orders, by their dedup key.
func deadLetters(t *testing.T, db *store.DB) map[string]store.DeadLetter {
	t.Helper()
	list, err := store.NewDeadLetters(db).List(t.Context(), store.DeadLetterFilter{}, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]store.DeadLetter, len(list))
	for _, f := range list {
		if out[f.DedupKey], err = store.NewDeadLetters(db).Get(t.Context(), f.ID); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	within(t, eventuallyMax, what, done)
}

// within is eventually for conditions that take longer.
func within(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s", limit, what)
		}
		<-tick.C
	}
}
