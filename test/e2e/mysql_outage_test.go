package e2e

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/test/mysqlproxy"
	"github.com/spillway/spillway/test/realparts"
)

const (
	// mysqlAway is how long MySQL is in trouble, mysqlFrozen how long it is frozen: longer than a statement may take.
	mysqlAway   = 3 * time.Second
	mysqlFrozen = 12 * time.Second
	// mysqlBuyers and mysqlPause, a buyer's pause after each order, leave two shops room on two cores that carry other work: they meet MySQL's
	// limits, not those of a shop under too much load.
	mysqlBuyers = 10
	mysqlPause  = 100 * time.Millisecond
	// newBuyers come one each newBuyerInterval while MySQL is in trouble: so many that each has one order under way at most.
	newBuyers        = 60
	newBuyerInterval = 250 * time.Millisecond
)

// mysqlOutage is two shops, of which each has buyers, on one MySQL that gets into trouble.
type mysqlOutage struct {
	t      *testing.T
	server *realparts.OldMySQL
	proxy  *mysqlproxy.Proxy
	shops  []*strained
	root   *sql.DB // one connection to the server itself, which its limit of connections does not count
}

// strained is the buyers of one shop, and callers of everything else.
type strained struct {
	*fight
	durability string
	callers    *callers
	timeline   *timeline
	written    map[string]bool // acknowledged orders that were in SQL
	// guests are the customers who come during a trouble; came is their number so far, and late waits for them.
	guests []string
	came   int
	late   sync.WaitGroup
}

func newMySQLOutage(t *testing.T, durabilities ...string) *mysqlOutage {
	server := realparts.StartOldMySQL(t)
	o := &mysqlOutage{t: t, server: server, proxy: mysqlproxy.Start(t, server.Addr())}
	var err error
	if o.root, err = sql.Open("mysql", "root@tcp("+server.Addr()+")/"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.root.Close() })
	o.root.SetMaxOpenConns(1)
	// A user that may not write to a read-only server, and has no connection in reserve.
	o.admin("CREATE USER shop")
	for _, d := range durabilities {
		o.shops = append(o.shops, o.open(d))
	}
	return o
}

// open starts a shop with a database and a Redis of its own.
func (o *mysqlOutage) open(durability string) *strained {
	name := "shop_" + durability
	o.admin("CREATE DATABASE " + name + " CHARACTER SET utf8mb4")
	o.admin("GRANT ALL ON " + name + ".* TO shop")
	dsn := "shop@tcp(" + o.proxy.Addr() + ")/" + name
	migrated(o.t, dsn)
	s := newShop(o.t, dsn, []string{
		"--data-dir", o.t.TempDir(), "--mysql", dsn, "--redis", realparts.StartRedis(o.t).Addr(), "--redis-namespace", "e2e-" + rand.Text(),
		"--durability", durability, "--customer-orders", "0", "--pay-within", "10s", "--reconcile-after", "5s", "--lost-after", "1s",
		"--repair-after", "5s", "--simulate-provider-file", filepath.Join(o.t.TempDir(), "provider"),
	})
	f := newFight(s)
	f.sku, f.units, f.tries, f.buyers, f.pause = f.product(failoverUnits), failoverUnits, 1<<30, mysqlBuyers, mysqlPause
	out := &strained{fight: f, durability: durability, timeline: &timeline{}, written: map[string]bool{}}
	f.observe = out.timeline.observe
	out.callers = newCallers(s)
	for range newBuyers {
		out.guests = append(out.guests, s.guest())
	}
	return out
}

// admin runs a statement on the server itself.
func (o *mysqlOutage) admin(statement string) {
	o.t.Helper()
	if _, err := o.root.Exec(statement); err != nil {
		o.t.Fatalf("%s: %v", statement, err)
	}
}

// run lets the buyers of all shops loose while the trouble is made.
func (o *mysqlOutage) run(trouble func()) {
	o.t.Helper()
	for _, s := range o.shops {
		inner := trouble
		trouble = func() {
			end := s.callers.begin()
			defer end()
			s.run(func() {
				s.whenPaid(ordersBefore)
				inner()
				s.stop()
				s.late.Wait()
			})
		}
	}
	trouble()
}

// fault is one kind of trouble.
type fault struct {
	name       string
	begin, end func()
	lasts      time.Duration
	works      bool // orders with a card are paid during the trouble
}

// suffer makes the trouble, waits until it is over and drained, and logs what the buyers saw.
func (o *mysqlOutage) suffer(f fault) {
	o.t.Helper()
	for _, s := range o.shops {
		s.timeline.begin()
	}
	f.begin()
	for _, s := range o.shops {
		s.callers.forget()
	}
	o.newBuyers(f.lasts)
	o.stillServed(f)
	f.end()
	for _, s := range o.shops {
		s.timeline.end()
	}
	for _, s := range o.shops {
		s.callers.everythingWorks()
	}
	for _, s := range o.shops {
		s.awaitPaid()
		s.awaitDrained()
		o.t.Logf("%s, durability %s: %s", f.name, s.durability, s.timeline)
	}
}

// stillServed waits, while the trouble lasts, until what has to work has worked. How many calls are refused meanwhile depends on how much of the machine other
// work takes: callers wait a second for a connection, and for SQL to go on.
func (o *mysqlOutage) stillServed(f fault) {
	o.t.Helper()
	if f.lasts == 0 {
		return
	}
	for _, s := range o.shops {
		if s.durability == "journal" { // Nothing is promised of it but that it is in Redis.
			s.eventually(startTimeout, f.name+": an order without a card to be accepted", func() bool { return s.callers.worksNow(callPayLater) })
		}
		if f.works {
			s.eventually(startTimeout, f.name+": an order to be paid meanwhile", func() bool { return s.timeline.paidMeanwhile() > 0 })
		}
	}
}

// newBuyers sends one to each shop every newBuyerInterval: those that were there before may wait for their responses.
func (o *mysqlOutage) newBuyers(d time.Duration) {
	over := time.After(d)
	for {
		select {
		case <-over:
			return
		case <-time.After(newBuyerInterval):
		}
		for _, s := range o.shops {
			token, key := s.guests[s.came%len(s.guests)], fmt.Sprint("new-", s.came)
			s.came++
			s.late.Go(func() { s.attempt(s.shop, token, key) })
		}
	}
}

// awaitPaid waits until an order is paid after the end of the trouble.
func (s *strained) awaitPaid() {
	s.t.Helper()
	s.eventually(giveUp, "an order to be paid after the trouble", func() bool { return !s.timeline.firstPaid().IsZero() })
}

// awaitDrained waits until SQL has, as paid or cancelled, each order that was acknowledged by now.
func (s *strained) awaitDrained() {
	s.t.Helper()
	s.mu.Lock()
	var left []order.ID
	for _, acknowledged := range []map[string]bool{s.paid, s.pending} {
		for id := range acknowledged {
			if !s.written[id] {
				left = append(left, order.ID(id))
			}
		}
	}
	s.mu.Unlock()
	s.awaitSettled("what was acknowledged to be in SQL", left)
	for _, id := range left {
		s.written[string(id)] = true
	}
	s.timeline.drained()
}

// verify checks, once all is drained, that nothing was lost, sold twice, charged twice or given up.
func (s *strained) verify() {
	s.t.Helper()
	s.quiet()
	s.totalsAddUp()
	s.nothingLost()
	if s.unknown > 0 {
		s.t.Errorf("%d attempts got no definite answer", s.unknown)
	}
	if r := s.must("DeadLetterService/ListDeadLetters", s.operator(), "{}"); !strings.Contains(r.Raw, `"letters":[]`) {
		s.t.Errorf("there are dead letters: %s", r.Raw)
	}
	s.t.Logf("durability %s: paid %d, pending %d; rows %v", s.durability, len(s.paid), len(s.pending), s.rows())
}

// TestMySQLOutage: whatever is wrong with MySQL, callers get orders or are told when to come again, and nothing is lost, oversold or charged twice.
func TestMySQLOutage(t *testing.T) {
	t.Parallel() // It waits most of the time.
	o := newMySQLOutage(t, "journal", "sql")
	var unInject func()
	inject := func(r mysqlproxy.Rule) func() { return func() { unInject = o.proxy.Inject(r) } }
	injectEnd := func() { unInject() }
	o.run(func() {
		for _, f := range []fault{
			{"killed", o.server.Kill9, o.server.Restart, mysqlAway, false},
			{"frozen", o.server.Pause, o.server.Resume, mysqlFrozen, false},
			{"read-only", func() { o.admin("SET GLOBAL super_read_only = ON") }, func() { o.admin("SET GLOBAL read_only = OFF") }, mysqlAway, false},
			{"5 connections", o.fewConnections, func() { o.admin("SET GLOBAL max_connections = 1000") }, 2 * mysqlAway, true},
			{"all writes deadlock", inject(mysqlproxy.Writes(mysqlproxy.Deadlock)), injectEnd, mysqlAway, false},
			{"a fifth of the writes deadlocks", inject(mysqlproxy.Sometimes(0.2, mysqlproxy.Writes(mysqlproxy.Deadlock))), injectEnd, mysqlAway, true},
			{
				"disk full", inject(mysqlproxy.Writes(mysqlproxy.DiskFull, mysqlproxy.TableFull, mysqlproxy.Engine, mysqlproxy.Commit)), injectEnd,
				mysqlAway, false,
			},
		} {
			o.suffer(f)
		}
	})
	for _, s := range o.shops {
		s.verify()
	}
}

// fewConnections leaves 5 connections for both shops.
func (o *mysqlOutage) fewConnections() {
	o.admin("SELECT 1") // Its connection is there.
	o.admin("SET GLOBAL max_connections = 5")
	o.proxy.Sever()
}
