package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/quota"
)

// fakeBatchCounter is a BatchCounter in memory, which several processes share. Its windows do not end.
type fakeBatchCounter struct {
	mu     sync.Mutex
	counts map[string]int64
	rounds int
	err    error
}

func (c *fakeBatchCounter) Add(_ context.Context, amounts []quota.Amount, window time.Duration) (totals []quota.Total, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rounds++
	if c.err != nil {
		return nil, c.err
	}
	if c.counts == nil {
		c.counts = map[string]int64{}
	}
	for _, a := range amounts {
		c.counts[a.Key] += a.N
		totals = append(totals, quota.Total{N: c.counts[a.Key], Left: window})
	}
	return totals, nil
}

const (
	listProducts = spillwayv1connect.CatalogServiceListProductsProcedure
	addItem      = spillwayv1connect.CartServiceAddItemProcedure
)

// limitedRates is the change of a server that bounds calls, behind a proxy on this machine that names the clients.
func limitedRates(rates *CallRates) func(*Config) {
	return func(c *Config) {
		c.Rates, c.TrustedProxies = rates, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	}
}

// TestCallRates_EveryProcedureReadsOrWrites: a new procedure that visitors may call is classified, or this test names it.
func TestCallRates_EveryProcedureReadsOrWrites(t *testing.T) {
	for procedure, may := range permissions {
		if len(may.roles) > 0 || may.internal {
			continue
		}
		method := procedure[strings.LastIndex(procedure, "/")+1:]
		reads := false
		for _, prefix := range []string{"Get", "List", "Search", "Watch", "Convert", "Quote"} {
			reads = reads || strings.HasPrefix(method, prefix)
		}
		if reads == writes[procedure] {
			t.Errorf("%s: read by its name %v, in the table of writes %v", procedure, reads, writes[procedure])
		}
	}
	for procedure := range writes {
		if _, known := permissions[procedure]; !known {
			t.Errorf("%s writes and does not exist", procedure)
		}
	}
}

// TestCallRates_FloodOfOneAddress sends calls as many guests from one address, to two processes at once. Most are refused with a delay, while a buyer
// at another address is served each time, in both.
func TestCallRates_FloodOfOneAddress(t *testing.T) {
	const perAddress, rounds, burst = 64, 10, 20
	shared := &fakeBatchCounter{}
	var processes []*edgeFixture
	var rates []*CallRates
	for range 2 {
		r := NewCallRates(CallRateConfig{CustomerReads: 30, AddressReads: perAddress, AddressWrites: 5, Shared: shared, Log: discardLog})
		processes, rates = append(processes, startServer(t, allServices(t), limitedRates(r))), append(rates, r)
	}
	served := 0
	for round := range rounds {
		for i := range burst {
			e := processes[i%2]
			guest := e.token(t, fmt.Sprintf("guest_%d_%d", round, i))
			status, header, body := e.post(t, listProducts, guest, "{}", forwardedHeader, "198.51.100.1")
			switch {
			case status != http.StatusTooManyRequests:
				served++
			case !strings.Contains(body, string(order.ReasonLimitExceeded)) || !strings.Contains(body, "reads_per_address") || header.Get("Retry-After") == "":
				t.Fatalf("%v %s; want the limit and a delay", header, body)
			}
		}
		for _, r := range rates {
			r.share(t.Context()) // As Run does each second.
		}
		for _, e := range processes {
			if status, _, body := e.post(t, listProducts, e.token(t, "buyer"), "{}", forwardedHeader, "203.0.113.7"); status == http.StatusTooManyRequests {
				t.Fatalf("the buyer is refused: %s", body)
			}
		}
	}
	// Between two rounds of sharing, each process lets at most a burst pass.
	if served < perAddress || served > perAddress+burst {
		t.Errorf("%d of %d calls were served; want %d, and at most %d more", served, rounds*burst, perAddress, burst)
	}
	if refused := rates[0].Refused()[order.LimitAddressReads] + rates[1].Refused()[order.LimitAddressReads]; refused != int64(rounds*burst-served) {
		t.Errorf("%d refusals are counted; want %d", refused, rounds*burst-served)
	}
	// Writes have a budget of their own.
	if status, _, body := processes[0].post(t, addItem, processes[0].token(t, "c"), "{}", forwardedHeader, "198.51.100.1"); status == http.StatusTooManyRequests {
		t.Errorf("a write after the reads were spent: %s", body)
	}
}

// TestCallRates_FloodOfOneCustomer: others of the same address are served, and the flood costs the address nothing.
func TestCallRates_FloodOfOneCustomer(t *testing.T) {
	r := NewCallRates(CallRateConfig{CustomerReads: 5, CustomerWrites: 3, AddressReads: 40, Log: discardLog})
	e := startServer(t, allServices(t), limitedRates(r))
	call := func(procedure, token string) int {
		status, _, _ := e.post(t, procedure, token, "{}", forwardedHeader, "198.51.100.1")
		return status
	}
	flood := e.token(t, "flood")
	for range 50 {
		call(listProducts, flood)
		call(addItem, flood)
	}
	if got := r.Refused(); got[order.LimitCustomerReads] != 45 || got[order.LimitCustomerWrites] != 47 || got[order.LimitAddressReads] != 0 {
		t.Errorf("refused %v; want 45 reads and 47 writes of the customer", got)
	}
	for range 5 {
		if status := call(listProducts, e.token(t, "neighbour")); status == http.StatusTooManyRequests {
			t.Error("another customer of the address is refused")
		}
	}
	for range 50 {
		if status := call(listProducts, e.token(t, "op", auth.Operator)); status == http.StatusTooManyRequests {
			t.Fatal("an operator is refused")
		}
	}
}

// TestCallRates_ThisMachine: the clients of a proxy that is not trusted cannot be told apart, so that its address has no bound.
func TestCallRates_ThisMachine(t *testing.T) {
	r := NewCallRates(CallRateConfig{AddressReads: 1, Log: discardLog})
	e := startServer(t, allServices(t), func(c *Config) { c.Rates = r })
	for range 5 {
		if status, _, body := e.post(t, listProducts, "", "{}", forwardedHeader, "198.51.100.1"); status == http.StatusTooManyRequests {
			t.Fatal(body)
		}
	}
}

// TestCallRates_SharingFails: each process has its own limit, and Redis' return shares again.
func TestCallRates_SharingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &fakeBatchCounter{err: errors.New("redis is unavailable")}
		r := NewCallRates(CallRateConfig{AddressReads: 16, Shared: shared, Log: discardLog})
		ctx, stop := context.WithCancel(from(t.Context(), "198.51.100.1"))
		defer stop()
		go r.Run(ctx)
		served := 0
		for range 40 {
			if err := r.take(ctx, listProducts); err == nil {
				served++
			}
		}
		if served != 16 {
			t.Errorf("%d calls were served without Redis; want 16", served)
		}
		<-time.After(2 * time.Minute)
		shared.mu.Lock()
		shared.err, shared.counts = nil, map[string]int64{"reads_per_address:198.51.100.1": 100}
		shared.mu.Unlock()
		if err := r.take(ctx, listProducts); err != nil {
			t.Errorf("after the window: %v", err)
		}
		<-time.After(2 * shareInterval)
		var limited *order.LimitError
		if err := r.take(ctx, listProducts); !errors.As(err, &limited) || limited.After <= 0 {
			t.Errorf("after another process counted 100: %v; want a limit", err)
		}
	})
}

// TestCallRates_UsualCustomerCostsNoRoundTrip: who makes less than a 16th of the limit is not shared.
func TestCallRates_UsualCustomerCostsNoRoundTrip(t *testing.T) {
	shared := &fakeBatchCounter{}
	c := DefaultCallRates()
	c.Shared, c.Log = shared, discardLog
	r := NewCallRates(c)
	ctx := from(as(t.Context(), "buyer"), "198.51.100.1")
	for range 30 {
		if err := errors.Join(r.take(ctx, listProducts), r.take(ctx, placeProcedure)); err != nil {
			t.Fatal(err)
		}
	}
	r.share(ctx)
	if shared.rounds != 0 {
		t.Errorf("%d round trips; want none", shared.rounds)
	}
}

func BenchmarkCallRates_Take(b *testing.B) {
	c := DefaultCallRates()
	c.AddressWrites, c.CustomerWrites, c.Shared, c.Log = 1<<30, 1<<30, &fakeBatchCounter{}, discardLog
	r := NewCallRates(c)
	ctx := from(as(b.Context(), "buyer"), "198.51.100.1")
	b.ReportAllocs()
	for b.Loop() {
		if err := r.take(ctx, placeProcedure); err != nil {
			b.Fatal(err)
		}
	}
}
