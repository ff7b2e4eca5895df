package e2e

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// binary is built once for the package, as it is deployed: without the race detector, which the tests of its packages use.
var binary string

// parallelTests is how many of the tests with t.Parallel run at once: most of their time they wait for an outage to end. A -parallel on the command line
// counts instead.
const parallelTests = "4"

// migrateTries is how often a database is migrated: a statement ends after 30 s, which a busy machine may take for one that rebuilds a table.
const migrateTries = 3

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		if given := flag.Lookup("test.parallel"); given.Value.String() == given.DefValue {
			_ = given.Value.Set(parallelTests) // It is a number.
		}
		dir, err := os.MkdirTemp("", "spillway-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		binary = filepath.Join(dir, "spillway")
		build := exec.Command("go", "build", "-o", binary, "../../cmd/spillway")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build spillway: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

const (
	// startTimeout bounds the start of a shop, and much that it does in a second on an idle machine: two cores may carry other work, and a shop gets a quarter
	// of one then.
	startTimeout = 2 * time.Minute
	// drainTimeout is --drain-timeout of the tests, which a busy machine needs, and endTimeout bounds the end of a shop with it.
	drainTimeout = "90s"
	endTimeout   = 3 * time.Minute
	pollEvery    = 20 * time.Millisecond
	// callTimeout bounds a call: longer than hundreds that are sent at once take on a busy machine.
	callTimeout = 90 * time.Second
	authKey     = "0123456789abcdef0123456789abcdef"
	hotSKU      = "OLJCESPC7Z"
)

// shop is one `spillway all`, which can be killed and started again on the same port.
type shop struct {
	t   testing.TB
	url string
	// admin is the URL of its admin address.
	admin string
	args  []string
	// program is what runs, if it is not the binary of this version.
	program string
	// env are further variables of its environment.
	env []string
	// prefix begins its command line, as to run it in a network namespace.
	prefix []string
	dsn    string     // what store.Open takes, to look behind the shop's back
	cmd    *exec.Cmd  // nil while it is not to run
	exit   chan error // gets what the process ended with
	log    *os.File

	opened *store.DB
}

// embedded is a shop that needs nothing.
func embedded(t testing.TB, more ...string) *shop {
	t.Helper()
	dir := t.TempDir()
	return newShop(t, "sqlite:"+filepath.Join(dir, "spillway.db"), append([]string{"--data-dir", dir}, more...))
}

// onRealParts is a shop on MySQL and the given Redis; without --rocketmq in more, its queue is in Redis.
func onRealParts(t testing.TB, redis string, more ...string) *shop {
	t.Helper()
	return onDatabase(t, database(t), redis, more...)
}

// database is a fresh one on MySQL, migrated and seeded.
func database(t testing.TB) (dsn string) {
	t.Helper()
	dsn = realparts.MySQL(t)
	migrated(t, dsn)
	return dsn
}

// onDatabase is onRealParts on a database that exists.
func onDatabase(t testing.TB, dsn, redis string, more ...string) *shop {
	t.Helper()
	return newShop(t, dsn, append([]string{"--data-dir", t.TempDir(), "--mysql", dsn, "--redis", redis, "--redis-namespace", "e2e-" + rand.Text()}, more...))
}

func migrated(t testing.TB, dsn string) {
	t.Helper()
	migratedBy(t, binary, dsn)
}

// unlimited lets few customers place many orders.
var unlimited = []string{
	"--session-rate", "0", "--units-window", "0s", "--unpaid-orders", "0", "--unpaid-share", "0", "--unpaid-total", "0",
	"--customer-declines", "0", "--address-declines", "0",
	"--customer-reads", "0", "--customer-writes", "0", "--address-reads", "0", "--address-writes", "0", "--mail-recipient-limit", "0",
}

func newShop(t testing.TB, dsn string, args []string) *shop {
	t.Helper()
	return newShopAt(t, realparts.FreeAddr(t), nil, dsn, args)
}

// newShopAt is newShop at an address, with a prefix of its command line.
func newShopAt(t testing.TB, addr string, prefix []string, dsn string, args []string) *shop {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	admin := net.JoinHostPort(host, realparts.FreePort(t))
	s := &shop{
		t: t, url: "http://" + addr, admin: "http://" + admin, dsn: dsn, log: log, prefix: prefix,
		args: slices.Concat([]string{"all", "--listen", addr, "--admin", admin}, unlimited, args),
	}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the shop's log:\n%s", tail(string(text), 60))
		}
		_ = log.Close()
	})
	s.start()
	return s
}

func tail(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// start runs the shop and returns when it is ready.
func (s *shop) start() {
	s.t.Helper()
	s.startWithoutWaiting()
	s.ready()
}

func (s *shop) startWithoutWaiting() {
	s.t.Helper()
	line := slices.Concat(s.prefix, []string{cmp.Or(s.program, binary)}, s.args)
	s.cmd = exec.Command(line[0], line[1:]...)
	s.cmd.Env = slices.Concat(os.Environ(), []string{"SPILLWAY_AUTH_KEY=" + authKey, "SPILLWAY_DRAIN_TIMEOUT=" + drainTimeout}, s.env)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.exit = make(chan error, 1)
	go func(cmd *exec.Cmd, exit chan error) { exit <- cmd.Wait() }(s.cmd, s.exit)
}

func (s *shop) ready() {
	s.t.Helper()
	s.eventually(startTimeout, "the shop to be ready", func() bool {
		s.alive()
		resp, err := client.Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// alive fails the test if the shop has ended by itself, with the end of its log.
func (s *shop) alive() {
	s.t.Helper()
	select {
	case err := <-s.exit:
		s.cmd = nil
		text, _ := os.ReadFile(s.log.Name())
		s.t.Fatalf("the shop ended while it started: %v; its log:\n%s", err, tail(string(text), 40))
	default:
	}
}

// kill ends the shop as a power cut would, for the process.
func (s *shop) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // It may have ended.
	s.cmd = nil
	_ = receive(s.t, endTimeout, "the killed shop to end", s.exit)
}

// stop ends the shop as an operator does, and returns its exit.
func (s *shop) stop() error {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	select {
	case err := <-s.exit:
		s.cmd = nil
		return err
	case <-time.After(endTimeout):
		return fmt.Errorf("it did not end within %s of %v", endTimeout, syscall.SIGTERM) // Its cleanup kills it.
	}
}

func (s *shop) eventually(limit time.Duration, what string, done func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for !done() {
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(s.log.Name())
			s.t.Fatalf("waited %s in vain for %s; the shop's log:\n%s", limit, what, tail(string(text), 40))
		}
		<-tick.C
	}
}

// db is the shop's database.
func (s *shop) db() *store.DB {
	s.t.Helper()
	if s.opened != nil {
		return s.opened
	}
	db, err := store.Open(context.Background(), s.dsn)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = db.Close() })
	s.opened = db
	return db
}

// reply is what a call answered.
type reply struct {
	Status int
	Code   string `json:"code"`
	Text   string `json:"message"`
	Order  struct {
		ID         string `json:"id"`
		State      string `json:"state"`
		CancelCode string `json:"cancelCode"`
	} `json:"order"`
	Token      string `json:"token"`
	CustomerID string `json:"customerId"`
	Raw        string `json:"-"`
	Header     http.Header
}

// isPaid reports whether the order is paid, and perhaps shipped by now.
func (r reply) isPaid() bool {
	return r.Order.State == "ORDER_STATE_PAID" || r.Order.State == "ORDER_STATE_SHIPPED"
}

var errNoAnswer = errors.New("no answer")

// call posts JSON. An error means that there was no answer: what the call did is unknown.
func (s *shop) call(procedure, token, body string, headers ...string) (reply, error) {
	req, err := http.NewRequest(http.MethodPost, s.url+"/spillway.v1."+procedure, bytes.NewBufferString(body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, errors.Join(errNoAnswer, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, errors.Join(errNoAnswer, err)
	}
	r := reply{Status: resp.StatusCode, Raw: string(raw), Header: resp.Header}
	_ = json.Unmarshal(raw, &r) // Not every answer is JSON.
	return r, nil
}

var client = &http.Client{Timeout: callTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

// transientCodes are the codes with which a client sends the same request again (docs/errors.md): a busy machine may let a call to Redis take longer than
// its second.
var transientCodes = []string{"unavailable", "resource_exhausted", "aborted", "deadline_exceeded"}

// definite is call with retries until the response is no transient error, as a client makes them.
func (s *shop) definite(procedure, token, body string, headers ...string) (reply, error) {
	return s.repeat(transientCodes, procedure, token, body, headers...)
}

// available is call with retries while the response is unavailable, for a call that a limit may refuse.
func (s *shop) available(procedure, token, body string, headers ...string) (reply, error) {
	return s.repeat(transientCodes[:1], procedure, token, body, headers...)
}

// repeat is call with retries while the response has one of the codes.
func (s *shop) repeat(codes []string, procedure, token, body string, headers ...string) (r reply, err error) {
	for began := time.Now(); ; <-time.After(retryEvery) {
		r, err = s.call(procedure, token, body, headers...)
		if err != nil || !slices.Contains(codes, r.Code) || time.Since(began) > startTimeout {
			return r, err
		}
	}
}

// must is definite for a call that is expected to be answered with 200.
func (s *shop) must(procedure, token, body string, headers ...string) reply {
	s.t.Helper()
	r, err := s.definite(procedure, token, body, headers...)
	if err != nil || r.Status != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s (%v)", procedure, body, r.Status, r.Raw, err)
	}
	return r
}

// mustPay places an order that must be paid, as a client does that gets no outcome of its payment at first.
func (s *shop) mustPay(token, body, key string) (r reply) {
	s.t.Helper()
	s.eventually(startTimeout, "the payment of the order to have an outcome", func() bool {
		r = s.must("CheckoutService/PlaceOrder", token, body, "Idempotency-Key", key)
		return r.Order.State != "ORDER_STATE_PENDING"
	})
	if !r.isPaid() {
		s.t.Fatalf("placed: %s", r.Raw)
	}
	return r
}

func (s *shop) guest() string {
	s.t.Helper()
	return s.must("SessionService/StartGuestSession", "", "{}").Token
}

// operator mints a token as an operator does.
func (s *shop) operator() string {
	s.t.Helper()
	cmd := command(s.t, binary, "token", "--customer", "op", "--role", "operator")
	cmd.Env = append(os.Environ(), "SPILLWAY_AUTH_KEY="+authKey)
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

const goodCard = "4242424242424242"

func orderBody(sku string, quantity int, card string) string {
	return fmt.Sprintf(`{"lines":[{"sku":%q,"quantity":%d}],"currencyCode":"EUR","email":"a@example.com",`+
		`"shippingAddress":{"name":"A","street":"S 1","city":"Berlin","postalCode":"10115","countryCode":"DE"},`+
		`"card":{"number":%q,"cvv":"123","expiryYear":2030,"expiryMonth":1}}`, sku, quantity, card)
}

// product makes a product of n units and returns its SKU.
func (s *shop) product(n int) string {
	s.t.Helper()
	sku := "T" + rand.Text()[:9]
	r, err := s.definite("CatalogService/CreateProduct", s.operator(), fmt.Sprintf(
		`{"product":{"sku":%q,"name":"thing","price":{"currencyCode":"USD","units":"1"}},"initialStock":"%d"}`, sku, n))
	if err != nil || r.Status != http.StatusOK && r.Code != "already_exists" { // The latter after a first try without a response.
		s.t.Fatalf("create a product: %s (%v)", r.Raw, err)
	}
	return sku
}
