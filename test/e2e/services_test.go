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
	buyerPatience = 5 * time.Minute
)

// processes are the services of one shop, each in a process of its own on real parts.
type processes struct {
	t      *testing.T
	common []string
	dsn    string
	// program is what runs, if it is not the binary of this version.
	program string
	all     map[string]*shop
	names   []string
	// internal are the addresses of the internal ports, which have the flags internalArgs.
	internal     map[string]string
	internalArgs []string
}

// withoutLimits are not flags: an older version, which does not know them, would refuse to start.
var withoutLimits = []string{"SPILLWAY_CUSTOMER_READS=0", "SPILLWAY_CUSTOMER_WRITES=0", "SPILLWAY_MAIL_RECIPIENT_LIMIT=0"}

// add starts a process that serves its internal port if it has one, and its public one at the shop's URL. One without a public port is ready at its admin address.
func (p *processes) add(name, command string, args ...string) *shop {
	p.t.Helper()
	log, err := os.Create(filepath.Join(p.t.TempDir(), name+".log"))
	if err != nil {
		p.t.Fatal(err)
	}
	addr := realparts.FreeAddr(p.t)
	s := &shop{
		t:       p.t,
		url:     "http://" + addr,
		dsn:     p.dsn,
		log:     log,
		program: p.program,
		env:     withoutLimits,
		args:    slices.Concat([]string{command}, args, p.common, []string{"--data-dir", p.t.TempDir()}),
	}
	if name == "payment" || name == "email" || command == "work" {
		s.admin = s.url
		s.args = append(s.args, "--admin", addr)
	} else {
		admin := realparts.FreeAddr(p.t)
		s.admin = "http://" + admin
		s.args = append(s.args, "--listen", addr, "--admin", admin)
	}
	if internal := p.internal[name]; internal != "" {
		s.args = append(append(s.args, "--internal-listen", internal), p.internalArgs...)
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

// serviceTLS are the flags of internal ports that speak TLS, and of their callers.
type serviceTLS struct{ server, client []string }

// nineProcesses starts the shop: payment and the catalogue are called by gRPC, the others by Connect. tls is nil for ports without
// TLS; queue are the flags of the queue, by default in Redis.
func nineProcesses(t *testing.T, tls *serviceTLS, queue ...string) *processes {
	t.Helper()
	dsn, dir := database(t), t.TempDir()
	redis := []string{"--redis", realparts.Redis(t), "--redis-namespace", "e2e-" + rand.Text()}
	p := &processes{t: t, dsn: dsn, all: map[string]*shop{}, common: []string{"--mysql", dsn}, internal: map[string]string{}}
	var urls []string
	for _, name := range []string{"payment", "shipping", "email", "cart", "catalog", "currency"} {
		p.internal[name] = realparts.FreeAddr(t)
		scheme := map[bool]string{true: "grpc", false: "http"}[name == "payment" || name == "catalog"]
		if tls != nil {
			scheme += "s"
		}
		urls = append(urls, "--"+name+"-url", scheme+"://"+p.internal[name])
	}
	if tls != nil {
		p.internalArgs = tls.server
		urls = append(urls, tls.client...)
	}
	provider := []string{"--simulate-provider-file", filepath.Join(dir, "provider.db")}
	serve := func(name string, args ...string) {
		p.add(name, "serve", append(args, "--services", name)...)
	}
	serve("currency")
	serve("payment", provider...)
	serve("email")
	serve("shipping", append(urls, "--simulate-carrier-file", filepath.Join(dir, "carrier.db"))...)
	serve("catalog", append(urls, redis...)...)
	serve("cart", append(urls, redis...)...)
	p.add("order", "serve", slices.Concat([]string{"--services", "order"}, urls, redis)...)
	p.add("checkout", "serve", slices.Concat([]string{"--services", "session,checkout", "--customer-orders", "0"}, unlimited, urls, redis)...)
	p.add("workers", "work", slices.Concat(quickly[:2], []string{"--repair-after", "5s"}, urls, redis, queue)...)
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
	mq := realparts.StartRocketMQ(t, []string{"e2e-orders"}, []string{"orders", "shipping", "mail"})
	p := nineProcesses(t, nil, "--rocketmq", mq.Addr(), "--topic", "e2e-orders")
	if len(p.names) != 9 { //nolint:mnd // As the name of the test.
		t.Fatalf("%d processes", len(p.names))
	}
	sku := p.all["catalog"].product(serviceUnits)
	b := p.buying(t, sku)
	more := func(after string) {
		p.all["checkout"].eventually(buyerPatience, "orders after "+after, func() bool {
			return b.outcomes.Load() >= ordersBetween || t.Failed()
		})
		b.outcomes.Store(0)
	}
	more("the start")
	for _, name := range p.names {
		p.all[name].kill()
		p.all[name].start()
		more("the kill of " + name)
	}
	b.close()
	p.verify(b)
}

// serviceBuying are the buyers at the shop.
type serviceBuying struct {
	stop     atomic.Bool
	outcomes atomic.Int64
	running  sync.WaitGroup
	buyers   []*serviceBuyer
}

// buying starts the buyers, who end with the test.
func (p *processes) buying(t *testing.T, sku string) *serviceBuying {
	t.Helper()
	b := &serviceBuying{}
	for i := range serviceBuyers {
		buyer := &serviceBuyer{processes: p, token: p.all["checkout"].guest(), sku: sku, stop: &b.stop, outcomes: &b.outcomes, paid: map[string]bool{}}
		b.buyers = append(b.buyers, buyer)
		b.running.Go(func() { buyer.buy(i) })
	}
	t.Cleanup(b.close)
	return b
}

func (b *serviceBuying) close() {
	b.stop.Store(true)
	b.running.Wait()
}

// verify checks that every paid order is found, and audits the drained shop.
func (p *processes) verify(b *serviceBuying) {
	p.t.Helper()
	paid := 0
	for _, b := range b.buyers {
		paid += len(b.paid)
		for id := range b.paid {
			b.all["order"].must("OrderService/GetOrder", b.token, fmt.Sprintf(`{"orderId":%q}`, id))
		}
	}
	view := *p.all["checkout"] // Its flags name the Redis; the provider's file is that of the payment service.
	view.args = append(slices.Clone(view.args), p.all["payment"].args...)
	if a := view.audit("--drained", "--wait", externalDrain.String(), "--grace", "1s"); a.status != 0 || !a.OK {
		p.t.Errorf("%d paid orders; the audit: %+v", paid, a)
	}
	p.t.Logf("%d paid orders", paid)
}
