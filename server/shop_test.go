package server

import (
	"context"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/currency"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/payment/paymenttest"
	"github.com/spillway/spillway/payment/simulated"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/workers"
)

const (
	// testWait bounds every wait for something that has to happen.
	testWait = 60 * time.Second
	// testBlock is how long an iteration of the flusher waits for a first journal entry.
	testBlock = 10 * time.Millisecond
)

var discardLog = slog.New(slog.DiscardHandler)

// shopFixture is a Checkout and a Canceller on a real Redis and a real database, with the simulated provider. It sells A and B, 100 units of
// each. The flusher writes stock and rows, as with durability sql, when flush is called or while runFlusher's goroutine runs; an answer
// waits for it only after sqlDurable.
type shopFixture struct {
	*stock.Stock
	db            *store.DB
	keys          stock.Keys
	redis         *redisconn.Conn
	epochs        *journal.Epochs
	journal       *journal.Journal
	progress      *journal.Progress
	orders        *store.Orders
	ledger        *store.Charges
	cancellations *store.Cancellations
	provider      *paymenttest.FakeProvider
	payment       *payment.Service
	payments      payment.Client
	checkout      *Checkout
	canceller     *Canceller
	refunder      *Refunder
}

// onBothDatabases runs the test with a shop on MySQL and with one on SQLite.
func onBothDatabases(t *testing.T, test func(t *testing.T, s *shopFixture)) {
	t.Helper()
	t.Run("mysql", func(t *testing.T) { test(t, openTestShop(t, realparts.MySQL(t))) })
	t.Run("sqlite", func(t *testing.T) { test(t, openTestShop(t, "sqlite:"+filepath.Join(t.TempDir(), "shop.db"))) })
}

// openTestShop opens a shop on the empty database.
func openTestShop(t *testing.T, dsn string) *shopFixture {
	t.Helper()
	s := &shopFixture{db: openTestDB(t, dsn), keys: stock.Keys{Keys: journal.Keys{Namespace: "test-" + rand.Text()}}, progress: journal.NewProgress()}
	s.orders, s.cancellations, s.ledger = store.NewOrders(s.db), store.NewCancellations(s.db), store.NewCharges(s.db)
	t.Cleanup(s.ledger.Close)
	s.openStock(t)
	s.provider = &paymenttest.FakeProvider{Provider: simulated.New()}
	s.payment = &payment.Service{Provider: s.provider, Ledger: s.ledger, Now: time.Now}
	s.payments = newPayments(t, s.payment)
	rates, err := currency.Load()
	if err != nil {
		t.Fatal(err)
	}
	reader := OrderReader{Hot: s.Stock, Rows: s.orders, Claims: store.NewGuestClaims(s.db), Log: discardLog}
	s.checkout = &Checkout{
		Prices: stubPrices{}, Carts: stubCarts{}, Rates: rates, Shipping: stubQuoter{}, Payments: s.payments, Stock: s.Stock, Orders: s.orders,
		Cancellations: s.cancellations,
		Durable:       stubDurable{}, Reader: reader, Log: discardLog, PayWithin: time.Hour, Now: time.Now,
	}
	s.canceller = &Canceller{
		Stock: s.Stock, Store: s.cancellations, Payments: s.payments, Changes: journal.NewChanges(s.keys.Keys, s.redis, stubBreaker{}), Durable: stubDurable{},
		Log: discardLog, Now: time.Now,
	}
	s.refunder = &Refunder{Ledger: s.ledger, Payments: s.payments, Log: discardLog, Now: time.Now}
	return s
}

// newPayments is a client of the service with the usual policies.
func newPayments(t *testing.T, service *payment.Service) payment.Client {
	t.Helper()
	policies := breaker.NewPolicies(breaker.DefaultPolicies())
	charging := payment.NewCharging(policies[breaker.Charges], service)
	t.Cleanup(func() { _ = charging.Close() })
	return payment.Client{Service: service, Local: service, Policy: policies[breaker.Payment], Ledger: policies[breaker.Ledger], Charging: charging}
}

func openTestDB(t *testing.T, dsn string) *store.DB {
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
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	return db
}

// openStock connects to Redis, seeds the products and opens the first epoch.
func (s *shopFixture) openStock(t *testing.T) {
	t.Helper()
	r, err := redisconn.Connect(redisconn.Config{Addr: realparts.Redis(t)})
	if err != nil {
		t.Fatal(err)
	}
	s.redis = r
	t.Cleanup(r.Close)
	t.Cleanup(func() { s.clean(t) })
	limits := stock.DefaultLimits()
	limits.CustomerOrders, limits.UnpaidOrders, limits.Timeout = 0, 0, testWait
	sql := store.NewStock(s.db)
	s.journal = journal.New(s.keys.Keys, r, stubBreaker{})
	drain := func(ctx context.Context, epoch int64) error { return s.flusher(s.progress).Drain(ctx, epoch) }
	s.epochs = journal.NewEpochs(journal.EpochsConfig{
		Keys: s.keys.Keys, Conn: r, Store: sql, Drain: drain, Rewind: stock.Rewind(s.keys.Keys), Durability: store.DurabilityJournal, Log: discardLog,
	})
	s.Stock = stock.New(s.keys.Keys, r, s.epochs, sql, limits, stubBreaker{})
	price := order.Money{Currency: "EUR", Amount: 1000}
	products := []store.Product{{SKU: "A", Name: "a", Price: price, Stock: 100}, {SKU: "B", Name: "b", Price: price, Stock: 100}}
	if _, err := store.NewProducts(s.db).Seed(t.Context(), products); err != nil {
		t.Fatal(err)
	}
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatalf("open the first epoch: %v", err)
	}
}

// clean deletes the test's keys from the shared Redis, which never evicts.
func (s *shopFixture) clean(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), testWait)
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

// flusher is a flusher that writes rows and reports to the progress: that of the shop, or of another process.
func (s *shopFixture) flusher(p *journal.Progress) *workers.StockFlusher {
	cfg := workers.DefaultFlushConfig()
	cfg.Block, cfg.WithOrders = testBlock, true
	snapshots := workers.SnapshotSources{Hot: stock.NewSnapshots(s.keys.Keys, s.redis, stubBreaker{}), Rows: store.NewOrders(s.db)}
	return workers.NewStockFlusher(cfg, s.journal, store.NewStock(s.db), snapshots, p, discardLog)
}

// flush brings SQL to the end of the journal.
func (s *shopFixture) flush(t *testing.T) {
	t.Helper()
	f := s.flusher(s.progress)
	for n := 1; n > 0; {
		var err error
		if n, err = f.RunOnce(t.Context()); err != nil {
			t.Fatalf("flush: %v", err)
		}
	}
}

// sqlDurable makes responses wait for SQL.
func (s *shopFixture) sqlDurable() { s.checkout.Durable, s.canceller.Durable = s.progress, s.progress }

// runFlusher flushes in the background until the test ends, and reports to the progress.
func (s *shopFixture) runFlusher(t *testing.T, p *journal.Progress) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.flusher(p).Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

// placeRequest orders one unit of A; without a card number it is paid later.
func placeRequest(key, card string) *spillwayv1.PlaceOrderRequest {
	req := &spillwayv1.PlaceOrderRequest{
		IdempotencyKey: key, CurrencyCode: "EUR", Email: "a@example.com", Lines: []*spillwayv1.Line{{Sku: "A", Quantity: 1}},
		ShippingAddress: &spillwayv1.Address{Name: "N", Street: "S", City: "C", CountryCode: "DE"},
	}
	if card != "" {
		req.Card = testCard(card)
	}
	return req
}

func testCard(number string) *spillwayv1.Card {
	return &spillwayv1.Card{Number: number, Cvv: "123", ExpiryYear: 2090, ExpiryMonth: 1}
}

// place places placeRequest's order for customer c1, and fails the test if that fails.
func (s *shopFixture) place(t *testing.T, key, card string) *spillwayv1.Order {
	t.Helper()
	resp, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest(key, card))
	if err != nil {
		t.Fatalf("place order %s: %v", key, err)
	}
	return resp.GetOrder()
}

// left is how many units of A Redis would sell.
func (s *shopFixture) left(t *testing.T) int64 {
	t.Helper()
	left, err := s.Available(t.Context(), []order.SKU{"A"})
	if err != nil {
		t.Fatal(err)
	}
	return left["A"]
}

// wantRow checks the state of the order's row.
func (s *shopFixture) wantRow(t *testing.T, id string, want order.State) {
	t.Helper()
	if o, err := s.orders.Get(t.Context(), order.ID(id)); err != nil || o.State != want {
		t.Errorf("the row of %s is %s (%v), want %s", id, o.State, err, want)
	}
}
