package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spillway/spillway/reread"
	"github.com/spillway/spillway/test/realparts"
)

const (
	// frozenOrders are placed at once while a service is frozen: more than the failures that open its breaker.
	frozenOrders = 24
	// frozenCall is the longest call of a checkout while one service is frozen: a charge of 3 s or a quote of 5 s, and what a busy machine adds. The server
	// gives it 15 s.
	frozenCall = 30 * time.Second
	// refusedAtOnce is how soon a call is refused whose breaker is open.
	refusedAtOnce = time.Second
)

// frozenService is a service, and what orders get while it is frozen.
type frozenService struct {
	name string
	// breaker is the checkout's policy of its calls; empty if too few calls fail to open it.
	breaker string
	// pending means that the first orders are accepted although their outcome is not known.
	pending bool
}

// TestServices_FrozenOverTLS: the nine processes speak TLS with certificates that an authority of their own signed. Each service is frozen under load: its sockets are open and nothing
// responds. Each call ends in its time with a clear outcome, the breaker opens and refuses at once, and after the service goes on every order gets its outcome, once.
func TestServices_FrozenOverTLS(t *testing.T) {
	t.Parallel()
	files := newServiceFiles(t)
	p := nineProcesses(t, files.flags())
	sku := p.all["catalog"].product(serviceUnits)
	b := p.buying(t, sku)
	for _, f := range []frozenService{
		{name: "payment", breaker: "charge", pending: true}, {name: "shipping", breaker: "shipping"}, {name: "cart", breaker: "cart"}, {name: "catalog"},
	} {
		t.Run(f.name, func(t *testing.T) { p.freeze(t, f, sku) })
	}
	files.replace(t)
	for name, addr := range p.internal {
		p.all[name].eventually(startTimeout, "the new certificate of "+name, func() bool { return files.presents(addr) })
	}
	b.outcomes.Store(0)
	p.all["checkout"].eventually(buyerPatience, "orders with the new certificates", func() bool { return b.outcomes.Load() >= ordersBetween || t.Failed() })
	b.close()
	p.verify(b)
}

// frozenOrder is an order of a customer with a full cart.
type frozenOrder struct{ token, key, body string }

// frozenOrder fills the cart of a customer and returns its order: from the cart if that is what is frozen, so that it has to be read.
func (p *processes) frozenOrder(f frozenService, sku string, n int) frozenOrder {
	p.t.Helper()
	o := frozenOrder{token: p.all["checkout"].guest(), key: fmt.Sprint("frozen-", f.name, n), body: orderBody(sku, 1, goodCard)}
	if f.name == "cart" {
		p.all["cart"].must("CartService/SetQuantity", o.token, fmt.Sprintf(`{"sku":%q,"quantity":1}`, sku))
		_, rest, _ := strings.Cut(o.body, "],")
		o.body = "{" + rest
	}
	return o
}

func (p *processes) place(o frozenOrder) (r reply, took time.Duration, err error) {
	began := time.Now()
	r, err = p.all["checkout"].call("CheckoutService/PlaceOrder", o.token, o.body, "Idempotency-Key", o.key)
	return r, time.Since(began), err
}

// freeze places orders while the service is frozen, and again afterwards.
func (p *processes) freeze(t *testing.T, f frozenService, sku string) {
	orders := make([]frozenOrder, frozenOrders+1)
	for n := range orders {
		orders[n] = p.frozenOrder(f, sku, n)
	}
	service, checkout := p.all[f.name], p.all["checkout"]
	service.signal(syscall.SIGSTOP)
	goOn := sync.OnceFunc(func() { service.signal(syscall.SIGCONT) })
	defer goOn()
	<-time.After(2 * reread.Interval) // What the checkout knows of products is older than it accepts.
	p.placeFrozen(t, f, orders[:frozenOrders])
	if f.breaker != "" {
		checkout.eventually(startTimeout, "the breaker to open", func() bool { return checkout.breakers()[f.breaker] == "open" })
		checkout.eventually(startTimeout, "an order to be refused at once", func() bool { // Unless it is the trial of a half-open breaker.
			r, took, err := p.place(orders[frozenOrders])
			return err == nil && r.Code == "unavailable" && took < refusedAtOnce
		})
	}
	goOn()
	for _, o := range orders {
		checkout.eventually(buyerPatience, "the order to be paid", func() bool {
			r, _, err := p.place(o)
			return err == nil && r.Status == http.StatusOK && r.Order.State != "ORDER_STATE_PENDING"
		})
	}
	if f.breaker != "" {
		checkout.eventually(startTimeout, "the breaker to close", func() bool { return checkout.breakers()[f.breaker] == "closed" })
	}
}

// placeFrozen places the orders at once.
func (p *processes) placeFrozen(t *testing.T, f frozenService, orders []frozenOrder) {
	var placing sync.WaitGroup
	for _, o := range orders {
		placing.Go(func() {
			r, took, err := p.place(o)
			refused := (r.Code == "unavailable" || r.Code == "resource_exhausted") && r.Header.Get("Retry-After") != ""
			pending := f.pending && r.Order.State == "ORDER_STATE_PENDING"
			if err != nil || !refused && !pending || took > frozenCall {
				t.Errorf("after %s: %s (%v)", took, r.Raw, err)
			}
		})
	}
	placing.Wait()
}

// serviceFiles are the certificate and key of the internal ports, the next ones, and the authorities of both. An authority of the test's own signs each.
type serviceFiles struct {
	ca        string
	cert, key string
	next      [2]string
	roots     *x509.CertPool // of the next certificate alone
}

func newServiceFiles(t *testing.T) *serviceFiles {
	t.Helper()
	dir := t.TempDir()
	f := &serviceFiles{ca: filepath.Join(dir, "ca.pem"), cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), roots: x509.NewCertPool()}
	cert, key := realparts.Certificate(t)
	f.next[0], f.next[1] = realparts.Certificate(t)
	first, second := text(t, cert), text(t, f.next[0])
	f.roots.AppendCertsFromPEM(second)
	put(t, f.ca, slices.Concat(first, second))
	put(t, f.cert, first)
	put(t, f.key, text(t, key))
	return f
}

func text(t *testing.T, file string) []byte {
	t.Helper()
	out, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// put replaces a file in one step.
func put(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file+".next", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".next", file); err != nil {
		t.Fatal(err)
	}
}

func (f *serviceFiles) flags() *serviceTLS {
	return &serviceTLS{
		server: []string{"--internal-cert-file", f.cert, "--internal-key-file", f.key},
		client: []string{"--service-ca-file", f.ca},
	}
}

// replace puts the next certificate into place, as an administrator or Kubernetes does.
func (f *serviceFiles) replace(t *testing.T) {
	t.Helper()
	put(t, f.key, text(t, f.next[1]))
	put(t, f.cert, text(t, f.next[0]))
}

// presents reports whether a new connection to the port gets the next certificate.
func (f *serviceFiles) presents(addr string) bool {
	c, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: f.roots, MinVersion: tls.VersionTLS12})
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
