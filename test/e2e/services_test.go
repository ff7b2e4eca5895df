package e2e

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/test/realparts"
)

const (
	// serviceBuyers place orders at the same time, each retrying one until it has an outcome.
	serviceBuyers = 6
	// serviceUnits is the stock: more than the buyers order, so that each kill happens under load.
	serviceUnits = 20_000
	// ordersBetween is how many orders must have an outcome after a process was killed and started again, before the next kill.
	ordersBetween = 10
	// buyerPatience bounds the retries of one order. A restarted process is ready within seconds on an idle machine.
	buyerPatience = 3 * time.Minute
)

// processes are the services of one shop, each in a process of its own on real parts.
type processes struct {
	t      *testing.T
	common []string
	// program is what runs, if it is not the binary of this version.
	program string
	dsn     string
	all     map[string]*shop
	names   []string
}

// add starts a process that serves its internal port at the address, and its public one at the shop's URL.
func (p *processes) add(name, internal, command string, args ...string) *shop {
	p.t.Helper()
	log, err := os.Create(filepath.Join(p.t.TempDir(), name+".log"))
	if err != nil {
		p.t.Fatal(err)
	}
	addr := realparts.FreeAddr(p.t)
	args = append(args, "--mail-recipient-limit", "0")
	s := &shop{t: p.t, url: "http://" + addr, dsn: p.dsn, log: log, program: p.program, args: slices.Concat([]string{command}, args, p.common, []string{"--data-dir", p.t.TempDir()})}
	if command == "work" {
		s.args = append(s.args, "--admin", addr)
	} else {
		s.args = append(s.args, "--listen", addr, "--customer-reads", "0", "--customer-writes", "0")
	}
	if internal != "" {
		s.args = append(s.args, "--internal-listen", internal)
	}
	if name == "payment" || name == "email" { // They have no public port.
		s.url = "http://" + internal
	}
	p.t.Cleanup(func() {
		s.kill()
		if p.t.Failed() {
			text, _ := os.ReadFile(log.Name())
			p.t.Logf("the log of %s:\n%s", name, tail(string(text), 25))
		}
		_ = log.Close()
	})
	s.start()
	p.all[name] = s
	p.names = append(p.names, name)
	return s
}

// nineProcesses starts the shop: payment and the catalogue are called by gRPC, the others by Connect.
func nineProcesses(t *testing.T) *processes {
	t.Helper()
	dsn, dir := database(t), t.TempDir()
	redis := []string{"--redis", realparts.Redis(t), "--redis-namespace", "e2e-" + rand.Text()}
	p := &processes{t: t, dsn: dsn, all: map[string]*shop{}, common: []string{"--mysql", dsn}}
	internal := map[string]string{}
	url := func(scheme, name string) []string {
		if internal[name] == "" {
			internal[name] = realparts.FreeAddr(t)
		}
		return []string{"--" + name + "-url", scheme + "://" + internal[name]}
	}
	urls := slices.Concat(
		url("grpc", "payment"),
		url("http", "shipping"),
		url("http", "email"),
		url("http", "cart"),
		url("grpc", "catalog"),
		url("http", "currency"),
	)
	provider := []string{"--simulate-provider-file", filepath.Join(dir, "provider.db")}
	serve := func(name string, args ...string) {
		p.add(name, internal[name], "serve", append(args, "--services", name)...)
	}
	serve("currency")
	serve("payment", provider...)
	serve("email")
	serve("shipping", append(urls, "--simulate-carrier-file", filepath.Join(dir, "carrier.db"))...)
	serve("catalog", append(urls, redis...)...)
	serve("cart", append(urls, redis...)...)
	p.add("order", "", "serve", slices.Concat([]string{"--services", "order"}, urls, redis)...)
	p.add("checkout", "", "serve", slices.Concat([]string{"--services", "session,checkout", "--customer-orders", "0"}, unlimited, urls, redis)...)
	p.add("workers", "", "work", slices.Concat(quickly[:2], []string{"--repair-after", "5s"}, urls, redis)...)
	return p
}

// serviceBuyer places orders until stop, half of them from the cart.
type serviceBuyer struct {
	*processes

	token, sku string
	stop       *atomic.Bool
	outcomes   *atomic.Int64
	paid       map[string]bool
}

// insist retries a call until it has an outcome: success, or a refusal for good.
func (b *serviceBuyer) insist(s *shop, procedure, body, key string) (reply, bool) {
	for began := time.Now(); time.Since(began) < buyerPatience; <-time.After(pollEvery) {
		r, err := s.call(procedure, b.token, body, "Idempotency-Key", key)
		if err == nil && (r.Status == http.StatusOK || r.Code == "failed_precondition" || r.Code == "already_exists") {
			return r, true
		}
		if err == nil && !slices.Contains([]string{"unavailable", "resource_exhausted", "deadline_exceeded", "aborted"}, r.Code) {
			b.t.Errorf("%s: %d %s", procedure, r.Status, r.Raw)
			return r, false
		}
	}
	b.t.Errorf("%s had no outcome within %s", procedure, buyerPatience)
	return reply{}, false
}

// serviceCards are those that buyers pay by: most are good, one is declined, and the answer of one is lost after it was charged.
var serviceCards = []string{goodCard, goodCard, goodCard, "4000000000000002", goodCard, goodCard, goodCard, goodCard, "4000000000000341"}

func (b *serviceBuyer) buy(index int) {
	for n := index; !b.stop.Load(); n++ {
		body := orderBody(b.sku, 1, serviceCards[n%len(serviceCards)])
		if n%2 == 0 {
			if _, ok := b.insist(b.all["cart"], "CartService/SetQuantity", fmt.Sprintf(`{"sku":%q,"quantity":2}`, b.sku), ""); !ok {
				return
			}
			_, rest, _ := strings.Cut(body, "],")
			body = "{" + rest
		}
		r, ok := b.insist(b.all["checkout"], "CheckoutService/PlaceOrder", body, rand.Text())
		if !ok {
			return
		}
		if r.Order.State == "ORDER_STATE_PAID" {
			b.paid[r.Order.ID] = true
			if n%5 == 0 {
				b.insist(b.all["order"], "OrderService/GetOrder", fmt.Sprintf(`{"orderId":%q}`, r.Order.ID), "")
			}
			if n%7 == 0 {
				b.insist(b.all["order"], "OrderService/CancelOrder", fmt.Sprintf(`{"orderId":%q}`, r.Order.ID), "")
			}
		}
		b.outcomes.Add(1)
	}
}

// TestServices_NineProcessesEachKilled: checkout, catalogue, carts, rates, payment, shipping, mail, orders and workers each run in a process of their own. Each is killed under load and
// started again. Every order gets an outcome, every paid one is in SQL, nothing is sold or charged twice, and the audit passes.
func TestServices_NineProcessesEachKilled(t *testing.T) {
	t.Parallel()
	p := nineProcesses(t)
	if len(p.names) != 9 { //nolint:mnd // As the name of the test.
		t.Fatalf("%d processes", len(p.names))
	}
	sku := p.all["catalog"].product(serviceUnits)
	var stop atomic.Bool
	var outcomes atomic.Int64
	var buying sync.WaitGroup
	buyers := make([]*serviceBuyer, serviceBuyers)
	for i := range buyers {
		buyers[i] = &serviceBuyer{processes: p, token: p.all["checkout"].guest(), sku: sku, stop: &stop, outcomes: &outcomes, paid: map[string]bool{}}
		buying.Go(func() { buyers[i].buy(i) })
	}
	defer func() { stop.Store(true); buying.Wait() }()
	more := func(after string) {
		p.all["checkout"].eventually(buyerPatience, "orders after "+after, func() bool {
			return outcomes.Load() >= ordersBetween || t.Failed()
		})
		outcomes.Store(0)
	}
	more("the start")
	for _, name := range p.names {
		p.all[name].kill()
		p.all[name].start()
		more("the kill of " + name)
	}
	stop.Store(true)
	buying.Wait()
	paid := 0
	for _, b := range buyers {
		paid += len(b.paid)
		for id := range b.paid {
			b.all["order"].must("OrderService/GetOrder", b.token, fmt.Sprintf(`{"orderId":%q}`, id))
		}
	}
	view := *p.all["checkout"] // Its flags name the Redis; the provider's file is that of the payment service.
	view.args = append(slices.Clone(view.args), p.all["payment"].args...)
	if a := view.audit("--drained", "--wait", "90s", "--grace", "1s"); a.status != 0 || !a.OK {
		t.Errorf("%d paid orders; the audit: %+v", paid, a)
	}
	t.Logf("%d paid orders", paid)
}
