package observe

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// binary is built once for the package.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "spillway-observe-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		binary = filepath.Join(dir, "spillway")
		if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/spillway").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build spillway: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

const (
	// startTimeout is the maximum duration of the start of a process. RocketMQ's first route takes some seconds.
	startTimeout = 2 * time.Minute
	// pathTimeout is the maximum duration of an order's path, and of a scrape or an export after it, on a busy machine. It is longer than the two minutes
	// after which a carrier that was down gets an order again that has become older than that.
	pathTimeout = 4 * time.Minute
	// endTimeout is the maximum time from SIGKILL or SIGTERM to the end of a process.
	endTimeout   = 60 * time.Second
	pollInterval = 100 * time.Millisecond
	// callTimeout is longer than the longest deadline of the server.
	callTimeout = 30 * time.Second
	goodCard    = "4242424242424242"
)

// shop is the data of a deployment, and what its processes have in common.
type shop struct {
	t    testing.TB
	dsn  string
	key  string // signs tokens
	env  []string
	args map[string][]string // by role
	url  string              // of serve
}

// newShop makes a database and a namespace. Each test has a topic of its own, because two shops on one take each other's messages.
func newShop(t testing.TB, redis, topic string, env ...string) *shop {
	t.Helper()
	s := &shop{t: t, dsn: realparts.MySQL(t), key: rand.Text() + rand.Text()}
	s.env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "OTEL_") || strings.HasPrefix(v, "SPILLWAY_")
	}), "SPILLWAY_AUTH_KEY="+s.key, "SPILLWAY_MYSQL="+s.dsn)
	s.env = append(s.env, env...)
	both := []string{
		"--data-dir", t.TempDir(), "--redis", redis, "--redis-namespace", "observe-" + rand.Text(),
		"--units-window", "0s", "--unpaid-orders", "0", "--unpaid-share", "0", "--unpaid-total", "0", "--customer-declines", "0", "--address-declines", "0",
		"--mail-recipient-limit", "0",
	}
	s.args = map[string][]string{
		"serve": append(slices.Clone(both), "--session-rate", "0", "--customer-reads", "0", "--customer-writes", "0"),
		"work":  append(slices.Clone(both), "--rocketmq", realparts.RocketMQ(t), "--topic", topic),
	}
	s.run("migrate", "up")
	s.run("seed")
	return s
}

// run runs a command that ends by itself, and returns what it prints.
func (s *shop) run(args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), binary, args...)
	cmd.Env, cmd.Dir = append(slices.Clone(s.env), "SPILLWAY_URL="+s.url), s.t.TempDir()
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("spillway %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// process is one process of the shop, which can be killed and started again on the same addresses.
type process struct {
	shop  *shop
	name  string
	args  []string
	admin string
	log   string // its log file, of all its starts
	cmd   *exec.Cmd
	ended chan struct{}
}

// start starts a role with an admin address and returns when that shows that it is ready.
func (s *shop) start(name string, args ...string) *process {
	s.t.Helper()
	p := &process{shop: s, name: name, admin: realparts.FreeAddr(s.t), log: filepath.Join(s.t.TempDir(), name+".log")}
	p.args = append(slices.Clone(args), "--admin", p.admin)
	s.t.Cleanup(func() {
		p.kill()
		if text, err := os.ReadFile(p.log); err == nil && s.t.Failed() {
			s.t.Logf("the end of the log of %s:\n%s", name, text[max(0, len(text)-6000):])
		}
	})
	p.start()
	return p
}

// serve starts the API.
func (s *shop) serve(more ...string) *process {
	s.t.Helper()
	addr := realparts.FreeAddr(s.t)
	s.url = "http://" + addr
	return s.start("serve", slices.Concat([]string{"serve", "--listen", addr}, s.args["serve"], more)...)
}

// work starts workers.
func (s *shop) work(name string, more ...string) *process {
	s.t.Helper()
	return s.start(name, slices.Concat([]string{"work"}, s.args["work"], more)...)
}

func (p *process) start() {
	p.shop.t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.shop.t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // The process has a descriptor of its own.
	p.cmd = exec.Command(binary, p.args...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = p.shop.env, log, log
	if err := p.cmd.Start(); err != nil {
		p.shop.t.Fatal(err)
	}
	p.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) { _ = cmd.Wait(); close(ended) }(p.cmd, p.ended)
	eventually(p.shop.t, startTimeout, p.name+" to be ready", func() bool {
		select {
		case <-p.ended:
			p.shop.t.Fatalf("%s ended while it started: %s", p.name, p.logged())
		default:
		}
		status, _ := get("http://" + p.admin + "/readyz")
		return status == http.StatusOK
	})
}

// kill ends the process as a power cut does.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // It may have ended.
	p.wait()
}

// stop ends the process as an operator does. Its last telemetry is exported.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	p.wait()
}

func (p *process) wait() {
	select {
	case <-p.ended:
	case <-time.After(endTimeout):
		p.shop.t.Errorf("%s did not end within %s", p.name, endTimeout)
	}
	p.cmd = nil
}

// logged returns what the process has logged.
func (p *process) logged() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.shop.t.Fatal(err)
	}
	return string(text)
}

// eventually fails the test if done does not return true within the limit.
func eventually(t testing.TB, limit time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for %s", limit, what)
		}
		<-tick.C
	}
}

var client = &http.Client{Timeout: callTimeout}

// get returns the status and the body of a page; 0 if there is no response.
func get(url string) (status int, body string) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// reply is the response to a call.
type reply struct {
	Status int
	Code   string `json:"code"`
	Order  struct {
		ID    string `json:"id"`
		State string `json:"state"`
	} `json:"order"`
	Token string `json:"token"`
	Raw   string `json:"-"`
}

// call posts JSON with headers, which are names and values by turns.
func (s *shop) call(procedure, token, body string, headers ...string) reply {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/spillway.v1."+procedure, bytes.NewBufferString(body))
	if err != nil {
		s.t.Fatal(err)
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
		s.t.Fatalf("%s: %v", procedure, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s: %v", procedure, err)
	}
	r := reply{Status: resp.StatusCode, Raw: string(raw)}
	_ = json.Unmarshal(raw, &r) // Not every response is JSON.
	return r
}

// must is call for one that succeeds.
func (s *shop) must(procedure, token, body string, headers ...string) reply {
	s.t.Helper()
	r := s.call(procedure, token, body, headers...)
	if r.Status != http.StatusOK {
		s.t.Fatalf("%s: %d %s", procedure, r.Status, r.Raw)
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
	return strings.TrimSpace(s.run("token", "--customer", "op", "--role", "operator"))
}

// product creates a product of n units and returns its SKU.
func (s *shop) product(n int) string {
	s.t.Helper()
	sku := "T" + rand.Text()[:9]
	s.must("CatalogService/CreateProduct", s.operator(), fmt.Sprintf(
		`{"product":{"sku":%q,"name":"thing","price":{"currencyCode":"USD","units":"1"}},"initialStock":"%d"}`, sku, n))
	return sku
}

// db opens the shop's database.
func (s *shop) db() *store.DB {
	s.t.Helper()
	db, err := store.Open(s.t.Context(), s.dsn)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = db.Close() })
	return db
}
