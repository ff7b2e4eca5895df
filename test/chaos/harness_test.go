package chaos

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/realparts"
)

const (
	partServer = "server"
	partRedis  = "redis"
	partMySQL  = "mysql"
	partBroker = "broker"
	partProxy  = "proxy"

	// payWithin is short, so that unpaid orders expire within a round.
	payWithin = 8 * time.Second
	// readyTimeout bounds the start of the server on two busy cores.
	readyTimeout = 120 * time.Second
	pollEvery    = 50 * time.Millisecond
	namespace    = "chaos"
	// commandTimeout bounds a command of the binary that ends by itself; an audit waits for a minute.
	commandTimeout = 3 * time.Minute
)

// part can be treated badly.
type part interface {
	Kill9()
	Stop()
	Restart()
	Pause()
	Resume()
}

var (
	_ part = (*realparts.Proc)(nil)
	_ part = (*process)(nil)
)

// harness is the real parts, and the shop's processes on them.
type harness struct {
	ctx     context.Context
	t       *testing.T
	began   time.Time
	dir     string // logs; kept when the test fails
	url     string
	admin   string // URL of the server's admin address
	key     string
	env     []string
	db      *sql.DB
	taken   *sql.DB             // what the payment provider took, which the shop cannot write
	parcels *sql.DB             // what the carrier has
	outages string              // the file with the modes of provider and carrier
	old     *realparts.OldRedis // the Redis of redisAlone
	standby *realparts.OldRedis // once its replica
	broker  *realparts.Broker
	mysql   *realparts.OldMySQL
	dsn     string
	keys    stock.Keys
	all     map[string]part // by name
	workers []string
	shop    []*process // server and workers
	opened  bool       // there was a round

	// Of the round:
	redisURL  string                   // what --redis takes
	sentinels *realparts.SentinelRedis // nil for redisAlone
	network   *realparts.Namespace     // nil unless for redisApart
	inside    *process                 // the server in the network; nil unless for redisApart
}

func newHarness(ctx context.Context, t *testing.T) *harness {
	t.Helper()
	h := &harness{ctx: ctx, t: t, began: time.Now(), key: rand.Text() + rand.Text(), keys: stock.Keys{Keys: journal.Keys{Namespace: namespace}}}
	var err error
	if h.dir, err = os.MkdirTemp("", "spillway-chaos-logs-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.keepLogs)
	redis, mysql := realparts.StartOldRedis(t), realparts.StartOldMySQL(t)
	h.old, h.standby = redis, realparts.StartOldRedis(t)
	broker, proxy := realparts.StartRocketMQCluster(t)
	h.broker = broker
	h.all = map[string]part{partRedis: redis, partMySQL: mysql, partBroker: broker, partProxy: proxy}
	h.mysql, h.dsn = mysql, mysql.MySQL()
	if h.db, err = sql.Open("mysql", h.dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.db.Close() })
	h.root("CREATE USER " + mysqlUser)
	h.root("GRANT ALL ON spillway.* TO " + mysqlUser)
	h.env = append(os.Environ(), "SPILLWAY_AUTH_KEY="+h.key, "SPILLWAY_MYSQL="+mysql.DSN(mysqlUser),
		"SPILLWAY_REDIS_NAMESPACE="+namespace, "SPILLWAY_ROCKETMQ="+proxy.Addr(), "SPILLWAY_CUSTOMER_ORDERS=0",
		// A few buyers place thousands of orders, many without a card.
		"SPILLWAY_UNITS_WINDOW=0s", "SPILLWAY_UNPAID_ORDERS=0", "SPILLWAY_UNPAID_SHARE=0", "SPILLWAY_UNPAID_TOTAL=0",
		"SPILLWAY_CUSTOMER_DECLINES=0", "SPILLWAY_ADDRESS_DECLINES=0",
		"SPILLWAY_CUSTOMER_READS=0", "SPILLWAY_CUSTOMER_WRITES=0", "SPILLWAY_ADDRESS_READS=0", "SPILLWAY_ADDRESS_WRITES=0",
		"SPILLWAY_MAIL_RECIPIENT_LIMIT=0",
		"SPILLWAY_RESERVE_SHARE=0", // That of the round before is recorded.
		"SPILLWAY_DATA_DIR="+filepath.Join(t.TempDir(), "data"), "SPILLWAY_PAY_WITHIN="+payWithin.String(),
		"SPILLWAY_RECONCILE_AFTER=5s", "SPILLWAY_LOST_AFTER=1s", "SPILLWAY_REPAIR_AFTER=10s", "SPILLWAY_DRAIN_TIMEOUT=10s")
	h.openProvider()
	h.openOutages()
	h.command("migrate", "up")
	h.addProcesses()
	h.logf("the parts are up")
	return h
}

// addProcesses makes the shop's processes, without starting them: a server and one process a worker.
func (h *harness) addProcesses() {
	h.t.Helper()
	listen := realparts.FreeAddr(h.t)
	h.url = "http://" + listen
	admin := realparts.FreeAddr(h.t)
	h.admin = "http://" + admin
	h.add(partServer, "serve", "--listen", listen, "--admin", admin)
	h.shop[0].url = h.url
	for _, w := range h.workerNames() {
		h.add(w, "work", "--workers", w)
		h.workers = append(h.workers, w)
	}
}

func (h *harness) add(name string, args ...string) {
	p := &process{harness: h, name: name, args: args}
	h.all[name] = p
	h.shop = append(h.shop, p)
	h.t.Cleanup(p.Kill9)
}

var quoted = regexp.MustCompile(`"([a-z-]+)"`)

// workerNames reads the names from the binary, so that a new worker is treated badly from its first day.
func (h *harness) workerNames() []string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.ctx, commandTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "work", "--workers", "?").CombinedOutput()
	if err == nil {
		h.t.Fatal("`spillway work --workers ?` did not complain")
	}
	var names []string
	for _, m := range quoted.FindAllStringSubmatch(string(out), -1) {
		names = append(names, m[1])
	}
	if len(names) == 0 {
		h.t.Fatalf("`spillway work --workers ?` names no workers:\n%s", out)
	}
	return names
}

// command runs one of the binary's commands and returns what it printed.
func (h *harness) command(args ...string) string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = h.environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		h.t.Fatalf("spillway %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// chosen are the parts and scenarios of a run.
func (h *harness) chosen(s settings) []string {
	h.t.Helper()
	parts, scenarios := slices.Sorted(maps.Keys(h.all)), allScenarios()
	if len(s.parts) == 0 {
		if s.short {
			return parts
		}
		return append(parts, h.chosenScenarios(nil)...)
	}
	var out []string
	for _, n := range s.parts {
		isScenario := slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == n })
		switch {
		case n == "workers":
			out = append(out, h.workers...)
		case slices.Contains(parts, n):
			out = append(out, n)
		case !isScenario:
			h.t.Fatalf("SPILLWAY_CHAOS_PARTS: there is no part or scenario %q; there are %v, workers for all of them, and the scenarios %v", n, parts, names(scenarios))
		}
	}
	slices.Sort(out)
	return append(slices.Compact(out), h.chosenScenarios(s.parts)...)
}

// openShop starts server and workers with the durability and the defects.
func (h *harness) openShop(durability string, defects []string) {
	h.t.Helper()
	if h.opened { // The first round's is recorded by the first process.
		h.command("durability", durability)
	}
	h.opened = true
	for _, p := range h.processes() {
		p.env = slices.Concat(h.environment(), []string{"SPILLWAY_DURABILITY=" + durability}, defects, p.ownEnv)
		p.Restart()
	}
}

// closeShop ends them as an operator does, all at once: a consumer of the queue takes seconds.
func (h *harness) closeShop() {
	h.t.Helper()
	var stopping sync.WaitGroup
	for _, p := range h.processes() {
		stopping.Go(p.Stop)
	}
	stopping.Wait()
}

// environment is that of every command in this round.
func (h *harness) environment() []string {
	return append(h.env[:len(h.env):len(h.env)], "SPILLWAY_REDIS="+h.redisURL)
}

// ready waits until the server at the URL takes orders.
func (h *harness) ready(url string) {
	h.t.Helper()
	h.await(readyTimeout, "the server to be ready", func() bool {
		ctx, cancel := context.WithTimeout(h.ctx, time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", http.NoBody)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// await polls until it is done; only the test's own goroutine may.
func (h *harness) await(limit time.Duration, what string, done func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(limit); !done(); h.pause(pollEvery) {
		if time.Now().After(deadline) {
			h.t.Fatalf("waited %s in vain for %s; the logs are in %s", limit, what, h.dir)
		}
	}
}

// pause ends the test when it is interrupted.
func (h *harness) pause(d time.Duration) {
	h.t.Helper()
	if wait(h.ctx, d) != nil {
		h.t.Fatal("interrupted")
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (h *harness) logf(format string, args ...any) {
	h.t.Helper()
	h.t.Logf("%6.1fs  %s", time.Since(h.began).Seconds(), fmt.Sprintf(format, args...))
}

// keepLogs removes them unless somebody will want to read them.
func (h *harness) keepLogs() {
	if h.t.Failed() {
		h.t.Logf("the logs are kept in %s", h.dir)
		return
	}
	_ = os.RemoveAll(h.dir)
}

// grep are the lines of all logs that mention the text, such as an order's id.
func (h *harness) grep(text string) []string {
	var out []string
	logs, err := filepath.Glob(filepath.Join(h.dir, "*.log"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, path := range logs {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(raw)) {
			if strings.Contains(line, text) {
				out = append(out, strings.TrimSuffix(filepath.Base(path), ".log")+": "+strings.TrimSpace(line))
			}
		}
	}
	return out
}
