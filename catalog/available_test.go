package catalog_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/catalog"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// testWait bounds the wait for what happens within a tenth of a second.
const testWait = 60 * time.Second

// fakeUnits has so many units of each product but "nope", counts its reads, and holds each until it is released.
type fakeUnits struct {
	reads, units atomic.Int64
	err          error
	holding      chan struct{}
}

func (u *fakeUnits) Available(_ context.Context, skus []order.SKU) (map[order.SKU]int64, error) {
	u.reads.Add(1)
	if u.holding != nil {
		<-u.holding
	}
	out := make(map[order.SKU]int64)
	for _, sku := range skus {
		if sku != "nope" {
			out[sku] = u.units.Load()
		}
	}
	return out, u.err
}

// eventually fails the test if the condition does not hold within testWait.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline, tick := time.After(testWait), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited %s for %s", testWait, what)
		case <-tick.C:
		}
	}
}

func TestAvailable_ConcurrentReadersMakeOneRead(t *testing.T) {
	u := &fakeUnits{holding: make(chan struct{})}
	u.units.Store(7)
	a := catalog.NewAvailable(u)
	want := map[order.SKU]int64{"A": 7, "B": 7}
	var readers sync.WaitGroup
	for range 50 {
		readers.Go(func() {
			if got, err := a.Available(t.Context(), []order.SKU{"A", "B", "nope"}); err != nil || !maps.Equal(got, want) {
				t.Errorf("%v, %v; want %v", got, err, want)
			}
		})
	}
	close(u.holding)
	readers.Wait()
	// A and B are cached now; "nope" never is.
	if got, err := a.Available(t.Context(), []order.SKU{"A", "B"}); err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if n := u.reads.Load(); n > 50 {
		t.Errorf("50 readers made %d reads", n)
	}
}

func TestAvailable_UnitsChange(t *testing.T) {
	var u fakeUnits
	a := catalog.NewAvailable(&u)
	for want := range int64(3) {
		u.units.Store(want)
		eventually(t, "the units that are left", func() bool {
			got, err := a.Available(t.Context(), []order.SKU{"A"})
			return err == nil && got["A"] == want
		})
	}
}

func TestAvailable_ErrorIsNotCached(t *testing.T) {
	u := &fakeUnits{err: order.ErrUnavailable}
	a := catalog.NewAvailable(u)
	if got, err := a.Available(t.Context(), []order.SKU{"A"}); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("%v, %v; want ErrUnavailable", got, err)
	}
	u.err = nil
	if got, err := a.Available(t.Context(), []order.SKU{"A"}); err != nil || len(got) != 1 {
		t.Errorf("after the error: %v, %v", got, err)
	}
}

// TestAvailable_CallerLeaves checks that a caller that ends its call does not end the read that others wait for.
func TestAvailable_CallerLeaves(t *testing.T) {
	u := &fakeUnits{holding: make(chan struct{})}
	a := catalog.NewAvailable(u)
	first, leave := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	readers.Go(func() { _, _ = a.Available(first, []order.SKU{"A"}) })
	eventually(t, "the first read", func() bool { return u.reads.Load() > 0 })
	readers.Go(func() {
		if got, err := a.Available(t.Context(), []order.SKU{"A"}); err != nil || len(got) != 1 {
			t.Errorf("the second caller: %v, %v", got, err)
		}
	})
	leave()
	close(u.holding)
	readers.Wait()
}

// fakeProducts is a catalogue of SKUs, which counts its pages.
type fakeProducts struct {
	catalog.Products

	pages atomic.Int64
	mu    sync.Mutex
	skus  []order.SKU
}

func (p *fakeProducts) List(_ context.Context, after order.SKU, limit int) (out []store.Product, _ error) {
	p.pages.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sku := range p.skus {
		if sku > after && len(out) < limit {
			out = append(out, store.Product{SKU: sku})
		}
	}
	return out, nil
}

func (p *fakeProducts) Create(_ context.Context, pr store.Product, _ string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skus = append(p.skus, pr.SKU)
	return nil
}

func (p *fakeProducts) Update(_ context.Context, pr store.Product, _ []store.ProductField) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.skus = slices.DeleteFunc(p.skus, func(sku order.SKU) bool { return sku == pr.SKU })
	return nil
}

func listed(t *testing.T, l *catalog.Listing, after order.SKU, limit int) (out []order.SKU) {
	t.Helper()
	found, err := l.List(t.Context(), after, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range found {
		out = append(out, p.SKU)
	}
	return out
}

func TestListing_PagesAreReadOnceUntilAChange(t *testing.T) {
	p := &fakeProducts{skus: []order.SKU{"A", "B"}}
	l := catalog.NewListing(p)
	for range 3 {
		if got := listed(t, l, "", 1); !slices.Equal(got, []order.SKU{"A"}) {
			t.Errorf("first page: %v", got)
		}
		if got := listed(t, l, "A", 1); !slices.Equal(got, []order.SKU{"B"}) {
			t.Errorf("second page: %v", got)
		}
	}
	if n := p.pages.Load(); n != 2 {
		t.Errorf("%d queries for two pages, three times each", n)
	}
	if err := l.Create(t.Context(), store.Product{SKU: "C"}, "me"); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, l, "", 9); !slices.Equal(got, []order.SKU{"A", "B", "C"}) {
		t.Errorf("after a product was added: %v", got)
	}
	if err := l.Update(t.Context(), store.Product{SKU: "A"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, l, "", 9); !slices.Equal(got, []order.SKU{"B", "C"}) {
		t.Errorf("after a product was archived: %v", got)
	}
}
