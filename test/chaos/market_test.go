package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

const (
	buyersMax = 12
	// asideMax is the number of further buyers while orders are taken in SQL: one for each server.
	asideMax = 2
	// thinkMax bounds a buyer's pause after an order: two cores have the parts to carry as well.
	thinkMax = 400 * time.Millisecond
	tokenTTL = 24 * time.Hour
	// flowAnswers is the number of definite responses that show that orders are taken, and flowTimeout how long they may take after trouble.
	flowAnswers = 20
	flowTimeout = 90 * time.Second
	// restockEvery and restockUnits keep the scarce product from being sold out for good.
	restockEvery = 3 * time.Second
	restockUnits = 10
)

// product is a SKU with finite stock.
type product struct {
	sku   order.SKU
	units int64
}

// market is the buyers of a round and all their responses.
type market struct {
	*harness
	products   []product
	seed       uint64
	durability string

	// keeping is set while no order is cancelled.
	keeping atomic.Bool

	mu          sync.Mutex
	attempts    []*attempt
	adjustments map[string]int64 // those that were acknowledged, in units
	scarce      order.SKU
	answers     int // definite ones
	soldOut     int
	complaints  []complaint
	calmSince   time.Time // zero while there is trouble
	windows     []window  // in which Redis may have lost what it acknowledged
}

// newMarket puts the round's products on the shelf: one that sells out and is restocked, one that may, and one that never does.
func newMarket(h *harness, round int, seed uint64, durability string) *market {
	h.t.Helper()
	name := func(what string) order.SKU { return order.SKU(fmt.Sprintf("R%d-%s", round, what)) }
	m := &market{harness: h, durability: durability, seed: seed + uint64(round)<<32, adjustments: map[string]int64{}, scarce: name("SCARCE")}
	m.products = []product{{m.scarce, 60}, {name("SOME"), 600}, {name("PLENTY"), 100_000}}
	catalog := spillwayv1connect.NewCatalogServiceClient(http.DefaultClient, h.url, h.as("operator", auth.Operator))
	for _, p := range m.products {
		var err error
		h.await(readyTimeout, "the product "+string(p.sku), func() bool {
			_, err = catalog.CreateProduct(h.ctx, &spillwayv1.CreateProductRequest{
				Product:      &spillwayv1.ProductInput{Sku: string(p.sku), Name: "thing", Price: &spillwayv1.Money{CurrencyCode: "USD", Units: 2}},
				InitialStock: p.units,
			})
			return err == nil || !isTransient(connect.CodeOf(err))
		})
		if err != nil && connect.CodeOf(err) != connect.CodeAlreadyExists { // The latter after a first try without a response.
			h.t.Fatalf("create %s: %v", p.sku, err)
		}
	}
	return m
}

// as makes a client's calls those of the customer.
func (h *harness) as(who order.CustomerID, roles ...auth.Role) connect.ClientOption {
	h.t.Helper()
	tokens, err := auth.NewTokens([]byte(h.key))
	if err != nil {
		h.t.Fatal(err)
	}
	token, _, err := tokens.Mint(auth.Caller{Customer: who, Roles: roles}, tokenTTL)
	if err != nil {
		h.t.Fatal(err)
	}
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			req.Header().Set("Authorization", "Bearer "+token)
			return next(ctx, req)
		}
	}))
}

// open lets the buyers in until the context ends. What they have begun they finish.
func (m *market) open(ctx context.Context, wg *sync.WaitGroup) {
	m.t.Helper()
	web := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: buyersMax}}
	for n := range buyersMax {
		b := m.newBuyer(web, n, m.products)
		wg.Go(func() { b.shop(ctx) })
	}
	catalog := spillwayv1connect.NewCatalogServiceClient(web, m.url, m.as("operator", auth.Operator))
	wg.Go(func() { m.restock(ctx, catalog) })
}

// newBuyer makes the buyer with the number, who orders of what it wants. Every second one goes to another door.
func (m *market) newBuyer(web connect.HTTPClient, n int, wants []product) *buyer {
	m.t.Helper()
	who, doors := auth.NewGuest(), m.doors()
	as, url := m.as(who), doors[n%len(doors)]
	return &buyer{
		market: m, who: who, number: n, rng: rand.New(rand.NewPCG(m.seed, uint64(n))), wants: wants,
		checkout: spillwayv1connect.NewCheckoutServiceClient(web, url, as),
		orders:   spillwayv1connect.NewOrderServiceClient(web, url, as),
	}
}

// openAside lets further buyers in, who order the product that never sells out, and returns what waits until they have left. The others may all wait
// for what is sold without Redis only as far as its reserve goes.
func (m *market) openAside() (leave func()) {
	m.t.Helper()
	ctx, stop := context.WithCancel(m.ctx)
	var wg sync.WaitGroup
	for n := range asideMax {
		b := m.newBuyer(http.DefaultClient, buyersMax+n, m.products[len(m.products)-1:])
		wg.Go(func() { b.shop(ctx) })
	}
	return func() { stop(); wg.Wait() }
}

// restock adds units again and again, each time until SQL has them.
func (m *market) restock(ctx context.Context, catalog spillwayv1connect.CatalogServiceClient) {
	for n := 1; wait(ctx, restockEvery) == nil; n++ {
		id := fmt.Sprintf("%s-%d", m.scarce, n)
		for {
			call, cancel := context.WithTimeout(m.ctx, callTimeout)
			_, err := catalog.AdjustStock(call, &spillwayv1.AdjustStockRequest{
				Sku: string(m.scarce), Delta: restockUnits, AdjustmentId: id, Reason: "more came",
			})
			cancel()
			if err == nil {
				m.mu.Lock()
				m.adjustments[id] = restockUnits
				m.mu.Unlock()
				break
			}
			if connect.IsWireError(err) && !isTransient(connect.CodeOf(err)) {
				m.complain("an operator", nil, "restocking %s: %v", id, err)
				break
			}
			if ctx.Err() != nil || wait(m.ctx, retryEvery) != nil {
				return
			}
		}
	}
}

// allUp marks all parts as up: from now on each attempt must get a definite response.
func (m *market) allUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calmSince = time.Now()
}

// flow waits until some more orders got a definite answer.
func (m *market) flow(when string) {
	m.t.Helper()
	m.mu.Lock()
	want := m.answers + flowAnswers
	m.mu.Unlock()
	m.await(flowTimeout, "orders to be taken, "+when, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.answers >= want
	})
}

// next waits for one definite answer, and logs how long it took.
func (m *market) next(after string) {
	m.t.Helper()
	began := time.Now()
	m.mu.Lock()
	had := m.answers
	m.mu.Unlock()
	m.await(flowTimeout, "an order to be taken after "+after, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.answers > had
	})
	m.logf("the first order was taken %s after %s", time.Since(began).Round(pollEvery), after)
}

func (m *market) summary() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("%d orders begun, %d answers, %d of them sold out", len(m.attempts), m.answers, m.soldOut)
}

// complaint is something that a client must never see.
type complaint struct {
	at      time.Time
	who     string
	attempt *attempt
	text    string
}

func (m *market) complain(who string, a *attempt, format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.complaints = append(m.complaints, complaint{time.Now(), who, a, fmt.Sprintf(format, args...)})
}

// skus are the round's.
func (m *market) skus() []order.SKU {
	out := make([]order.SKU, len(m.products))
	for i, p := range m.products {
		out[i] = p.sku
	}
	return out
}
