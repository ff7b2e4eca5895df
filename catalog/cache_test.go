package catalog_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/rueidis"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/catalog"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

type stubClosedBreaker struct{}

func (stubClosedBreaker) Permit() error { return nil }
func (stubClosedBreaker) Report(error)  {}

// fakeSource counts its reads, and holds each until it is released.
type fakeSource struct {
	reads   atomic.Int64
	price   atomic.Int64
	holding chan struct{}
}

func (s *fakeSource) Get(_ context.Context, sku order.SKU) (store.Product, error) {
	s.reads.Add(1)
	if s.holding != nil {
		<-s.holding
	}
	if sku == "nope" {
		return store.Product{}, order.ErrNotFound
	}
	return store.Product{SKU: sku, Name: "n", Price: order.Money{Currency: "USD", Amount: order.Cents(s.price.Load())}}, nil
}

func client(t *testing.T) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{realparts.Redis(t)}, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestCache_ConcurrentReadsMakeOneQuery(t *testing.T) {
	src := &fakeSource{holding: make(chan struct{})}
	c := catalog.NewCache("test-"+rand.Text(), client(t), stubClosedBreaker{}, src, slog.New(slog.DiscardHandler))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if p, err := c.Get(t.Context(), "A"); err != nil || p.SKU != "A" {
				t.Errorf("get: %+v, %v", p, err)
			}
		})
	}
	close(src.holding)
	wg.Wait()
	if n := src.reads.Load(); n != 1 {
		t.Errorf("50 readers made %d queries", n)
	}
	if _, err := c.Get(t.Context(), "nope"); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("an unknown product: %v; want ErrNotFound", err)
	}
}

// TestBrowsing_ReadsFromItsOwnSource checks that readers who browse wait for connections of their own, so that requests
// for products that do not exist delay no order. Both share the cached products.
func TestBrowsing_ReadsFromItsOwnSource(t *testing.T) {
	orders, reads := &fakeSource{}, &fakeSource{}
	c := catalog.NewCache("test-"+rand.Text(), client(t), stubClosedBreaker{}, orders, slog.New(slog.DiscardHandler))
	browsing := c.Browsing(reads)
	for range 3 {
		if _, err := browsing.Get(t.Context(), "nope"); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("an unknown product: %v; want ErrNotFound", err)
		}
	}
	if _, err := browsing.Get(t.Context(), "A"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), "A"); err != nil {
		t.Fatal(err)
	}
	if mine, theirs := orders.reads.Load(), reads.reads.Load(); mine != 0 || theirs != 4 {
		t.Errorf("%d queries over the connections of orders and %d over those of readers; want 0 and 4", mine, theirs)
	}
}

func TestCache_ReplacedReachesOtherProcesses(t *testing.T) {
	src, redis, namespace := &fakeSource{}, client(t), "test-"+rand.Text()
	src.price.Store(1)
	mine := catalog.NewCache(namespace, redis, stubClosedBreaker{}, src, slog.New(slog.DiscardHandler))
	if _, err := mine.Get(t.Context(), "A"); err != nil {
		t.Fatal(err)
	}
	src.price.Store(2)
	if err := mine.Replaced(t.Context(), "A"); err != nil {
		t.Fatal(err)
	}
	reads := src.reads.Load()
	theirs := catalog.NewCache(namespace, redis, stubClosedBreaker{}, src, slog.New(slog.DiscardHandler))
	for _, c := range []*catalog.Cache{mine, theirs} {
		if p, err := c.Get(t.Context(), "A"); err != nil || p.Price.Amount != 2 {
			t.Errorf("price = %v, %v; want the new one", p.Price, err)
		}
	}
	if src.reads.Load() != reads {
		t.Error("SQL was asked although Redis knew")
	}
}

// fakeOvertakenSource is a source in which another change happens between the first read and its use.
type fakeOvertakenSource struct {
	*fakeSource
	once sync.Once
	hook func()
}

func (o *fakeOvertakenSource) Get(ctx context.Context, sku order.SKU) (store.Product, error) {
	p, err := o.fakeSource.Get(ctx, sku)
	o.once.Do(o.hook)
	return p, err
}

func TestCache_ConcurrentReplaced(t *testing.T) {
	src, redis, namespace, log := &fakeSource{}, client(t), "test-"+rand.Text(), slog.New(slog.DiscardHandler)
	src.price.Store(2)
	theirs := catalog.NewCache(namespace, redis, stubClosedBreaker{}, src, log)
	mine := catalog.NewCache(namespace, redis, stubClosedBreaker{}, &fakeOvertakenSource{fakeSource: src, hook: func() {
		src.price.Store(3)
		if err := theirs.Replaced(t.Context(), "A"); err != nil {
			t.Error(err)
		}
	}}, log)
	if err := mine.Replaced(t.Context(), "A"); err != nil {
		t.Fatal(err)
	}
	fresh := catalog.NewCache(namespace, redis, stubClosedBreaker{}, src, log)
	for name, c := range map[string]*catalog.Cache{"the slow one": mine, "the quick one": theirs, "a fresh one": fresh} {
		if p, err := c.Get(t.Context(), "A"); err != nil || p.Price.Amount != 3 {
			t.Errorf("%s sells at %v, %v; want the last price", name, p.Price, err)
		}
	}
}

// stubOpenBreaker rejects every call.
type stubOpenBreaker struct{}

func (stubOpenBreaker) Permit() error { return order.ErrUnavailable }
func (stubOpenBreaker) Report(error)  {}

func TestCache_RedisUnavailable(t *testing.T) {
	src := &fakeSource{}
	c := catalog.NewCache("test-"+rand.Text(), client(t), stubOpenBreaker{}, src, slog.New(slog.DiscardHandler))
	if p, err := c.Get(t.Context(), "A"); err != nil || p.SKU != "A" {
		t.Errorf("get: %+v, %v", p, err)
	}
	if err := c.Replaced(t.Context(), "A"); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("a change that Redis was not told: %v; want ErrUnavailable, so that it is sent again", err)
	}
}

// fakeBreaker counts the calls, and the failures that would open a breaker.
type fakeBreaker struct{ permits, reports, failures atomic.Int64 }

func (b *fakeBreaker) Permit() error { b.permits.Add(1); return nil }
func (b *fakeBreaker) Report(err error) {
	b.reports.Add(1)
	if err != nil && !errors.Is(err, breaker.ErrCallerLeft) {
		b.failures.Add(1)
	}
}

// TestCache_CallerWithTinyDeadlineIsNoFailureOfRedis checks that a deadline that passes during the call is not counted
// as a failure.
func TestCache_CallerWithTinyDeadlineIsNoFailureOfRedis(t *testing.T) {
	m, slow := miniredis.RunT(t), &atomic.Bool{}
	m.Server().SetPreHook(func(*server.Peer, string, ...string) bool {
		if slow.Load() {
			<-time.After(20 * time.Millisecond)
		}
		return false
	})
	redis, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{m.Addr()}, DisableCache: true, ForceSingleClient: true, AlwaysPipelining: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	b := &fakeBreaker{}
	c := catalog.NewCache("test", redis, b, &fakeSource{}, slog.New(slog.DiscardHandler))
	slow.Store(true)
	replace := func(deadline time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		return c.Replaced(ctx, "A")
	}
	if replace(-time.Second) == nil {
		t.Error("a caller that had left succeeded")
	}
	// On a busy machine the time of some callers is over before they call Redis.
	eventually(t, "a call that outlives its caller", func() bool {
		_ = replace(time.Millisecond)
		return b.reports.Load() > 0
	})
	if b.failures.Load() > 0 || b.permits.Load() != b.reports.Load() {
		t.Errorf("%d permits, %d reports, %d of them failures", b.permits.Load(), b.reports.Load(), b.failures.Load())
	}
}

func TestCache_MissIsNoFailureOfRedis(t *testing.T) {
	b := &fakeBreaker{}
	c := catalog.NewCache("test-"+rand.Text(), client(t), b, &fakeSource{}, slog.New(slog.DiscardHandler))
	if _, err := c.Get(t.Context(), "A"); err != nil || b.failures.Load() > 0 || b.reports.Load() == 0 {
		t.Errorf("a miss is %v and %d failures", err, b.failures.Load())
	}
}

func TestSeed_Complete(t *testing.T) {
	products, err := catalog.Seed()
	if err != nil || len(products) < 9 {
		t.Fatalf("seed: %d products, %v", len(products), err)
	}
	names := map[order.SKU]string{}
	for _, p := range products {
		if p.Name == "" || p.Description == "" || p.Price.Amount <= 0 || p.Stock <= 0 || len(p.Categories) == 0 || names[p.SKU] != "" {
			t.Errorf("product %+v is not whole, or there twice", p)
		}
		names[p.SKU] = p.Name
	}
	if names["OLJCESPC7Z"] != "Sunglasses" || names["6E92ZMYYFZ"] != "Mug" {
		t.Errorf("the Online Boutique's products are missing: %v", names)
	}
}
