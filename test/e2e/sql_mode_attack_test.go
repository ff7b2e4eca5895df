package e2e

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// sqlModeFight is buyers at two processes of a shop on the Redis and database; the second one reaches Redis at another address.
func sqlModeFight(t *testing.T, durability, dsn, redis, secondRedis string) *failover {
	args := append(sqlModeArgs(t, durability, "--reserve-share", "50"), "--mysql", dsn, "--redis-namespace", "e2e-"+rand.Text())
	one := newShop(t, dsn, slices.Concat(args, []string{"--redis", redis, "--data-dir", t.TempDir()}))
	two := newShop(t, dsn, slices.Concat(args, []string{"--redis", secondRedis, "--data-dir", t.TempDir()}))
	f := &failover{fight: newFight(one), durability: durability}
	f.sku, f.units, f.tries, f.pause, f.doors, f.buyers = f.product(failoverUnits), failoverUnits, 1<<30, failoverPause, []*shop{one, two}, failoverBuyers
	// Without sql, a repetition of a request that was acknowledged in Redis makes another order in SQL; one of the two is refunded.
	f.once, f.forgets = durability != "sql", durability != "sql"
	return f
}

// morePaid awaits further orders that are paid.
func (f *failover) morePaid(n int) {
	f.t.Helper()
	f.mu.Lock()
	n += len(f.paid)
	f.mu.Unlock()
	f.whenPaid(n)
}

func (f *failover) awaitMode(mode string, doors ...*shop) {
	f.t.Helper()
	f.eventually(sqlModeLimit, "orders to be taken in "+mode, func() bool {
		return !slices.ContainsFunc(doors, func(s *shop) bool { return s.mode() != mode })
	})
}

func (s *shop) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

const (
	// freezeTries bounds how often freeze stops the process, and freezePause is the pause between two of them.
	freezeTries = 50
	freezePause = 20 * time.Millisecond
)

// freeze stops the process, but not while it writes to the file of the simulated provider, which the other process needs too: a real provider has no lock that
// a shop could hold.
func (s *shop) freeze() {
	s.t.Helper()
	file := s.args[slices.Index(s.args, "--simulate-provider-file")+1]
	for range freezeTries {
		s.signal(syscall.SIGSTOP)
		if s.canWrite(file) {
			return
		}
		s.signal(syscall.SIGCONT)
		<-time.After(freezePause)
	}
	s.t.Fatalf("each of %d times that it was stopped, the process held the lock of %s", freezeTries, file)
}

// canWrite reports whether the lock of the SQLite database is free, or is within the time that a transaction takes.
func (s *shop) canWrite(file string) bool {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(1000)&_txlock=immediate")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(s.t.Context(), nil)
	if err != nil {
		return false
	}
	return tx.Rollback() == nil
}

// TestSQLMode_FrozenProcess: a process is stopped, with the connections and transactions that it has, before Redis goes and goes on when it is back. The
// other one is stopped in SQL mode for as long as MySQL keeps its locks.
func TestSQLMode_FrozenProcess(t *testing.T) {
	t.Parallel()
	for _, durability := range []string{"sql", "journal"} {
		t.Run(durability, func(t *testing.T) {
			t.Parallel()
			redis := realparts.StartRedis(t)
			f := sqlModeFight(t, durability, database(t), redis.Addr(), redis.Addr())
			one, two := f.doors[0], f.doors[1]
			t.Cleanup(func() { // A stopped process cannot be killed gracefully by its parent.
				for _, s := range f.doors {
					if s.cmd != nil {
						s.signal(syscall.SIGCONT)
					}
				}
			})
			f.run(func() {
				f.morePaid(50)
				two.freeze()
				redis.Kill9()
				f.awaitMode("sql", one)
				f.morePaid(20)
				redis.Restart()
				f.awaitMode("redis", one)
				f.morePaid(20)
				two.signal(syscall.SIGCONT)
				f.awaitMode("redis", two)
				f.morePaid(50)
				redis.Kill9()
				f.awaitMode("sql", one, two)
				f.morePaid(20)
				two.freeze() // Perhaps while it holds the lock of the epoch.
				f.morePaid(20)
				two.signal(syscall.SIGCONT)
				redis.Restart()
				f.awaitMode("redis", one, two)
				f.morePaid(20)
				f.stop()
			})
			f.verify()
			f.nothingLost()
		})
	}
}

// TestSQLMode_RedisIsFrozen: its connections stay open. When it goes on, it does not know that another epoch was opened.
func TestSQLMode_RedisIsFrozen(t *testing.T) {
	t.Parallel()
	for _, durability := range []string{"sql", "journal"} {
		t.Run(durability, func(t *testing.T) {
			t.Parallel()
			redis := realparts.StartRedis(t)
			f := sqlModeFight(t, durability, database(t), redis.Addr(), redis.Addr())
			t.Cleanup(redis.Resume)
			f.run(func() {
				f.morePaid(50)
				redis.Pause()
				f.awaitMode("sql", f.doors...)
				f.morePaid(50)
				redis.Resume()
				f.awaitMode("redis", f.doors...)
				f.morePaid(50)
				f.stop()
			})
			f.verify()
			f.nothingLost()
		})
	}
}

// TestSQLMode_RedisComesBackEmpty: what only Redis had is refunded; orders of the epoch in SQL, and those that were flushed, are there.
func TestSQLMode_RedisComesBackEmpty(t *testing.T) {
	t.Parallel()
	for _, durability := range []string{"sql", "journal"} {
		t.Run(durability, func(t *testing.T) {
			t.Parallel()
			redis := realparts.StartOldRedis(t)
			redis.Copy() // It is empty.
			f := sqlModeFight(t, durability, database(t), redis.Addr(), redis.Addr())
			var inSQL []string
			f.run(func() {
				f.morePaid(50)
				redis.Kill9()
				f.awaitMode("sql", f.doors...)
				token := f.guest()
				for i := range 5 {
					r := f.paysWithin(sqlModeLimit, f.sku, token, fmt.Sprint("kept-", i))
					f.answered(r, false)
					inSQL = append(inSQL, r.Order.ID)
				}
				f.morePaid(50)
				redis.RestartFromCopy()
				f.awaitMode("redis", f.doors...)
				f.morePaid(50)
				f.stop()
			})
			f.verify()
			orders := store.NewOrders(f.db())
			for _, id := range inSQL {
				if o, err := orders.Get(t.Context(), order.ID(id)); err != nil || o.State != order.Paid && o.State != order.Shipped {
					t.Errorf("order %s was placed in SQL, and is %v (%v)", id, o.State, err)
				}
			}
		})
	}
}

// TestSQLMode_MySQLGoesToo: while orders are taken in SQL, MySQL is killed and comes back; then Redis comes back while MySQL is away.
func TestSQLMode_MySQLGoesToo(t *testing.T) {
	t.Parallel()
	redis, mysql := realparts.StartRedis(t), realparts.StartMySQL(t)
	migrated(t, mysql.MySQL())
	f := sqlModeFight(t, "journal", mysql.MySQL(), redis.Addr(), redis.Addr())
	f.run(func() {
		f.morePaid(50)
		redis.Kill9()
		f.awaitMode("sql", f.doors...)
		f.morePaid(20)
		mysql.Kill9()
		f.awaitMode("", f.doors...)
		mysql.Restart()
		f.awaitMode("sql", f.doors...)
		f.morePaid(20)
		mysql.Kill9()
		redis.Restart()
		<-time.After(3 * time.Second) // Several checks find Redis, and no SQL.
		mysql.Restart()
		f.awaitMode("redis", f.doors...)
		f.morePaid(50)
		f.stop()
	})
	f.verify()
	f.nothingLost()
}

// line is a network connection to a server that can be cut.
type line struct {
	listener net.Listener
	server   string

	mu    sync.Mutex
	isCut bool
	open  map[net.Conn]bool
}

func newLine(t *testing.T, server string) *line {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out := &line{listener: l, server: server, open: make(map[net.Conn]bool)}
	t.Cleanup(func() {
		_ = l.Close()
		out.cut(true)
	})
	go out.accept()
	return out
}

func (l *line) cut(is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = is
	for c := range l.open {
		_ = c.Close()
	}
	clear(l.open)
}

// keep registers the connections, or closes them while the line is cut.
func (l *line) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		if l.isCut {
			_ = c.Close()
		} else {
			l.open[c] = true
		}
	}
	return !l.isCut
}

func (l *line) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", l.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		if l.keep(client, server) {
			for _, ends := range [][2]net.Conn{{client, server}, {server, client}} {
				go func() {
					_, _ = io.Copy(ends[0], ends[1])
					_ = ends[0].Close()
				}()
			}
		}
	}
}

// TestSQLMode_CutOffProcess: a process that alone does not reach Redis refuses orders, and does not make all others take them in SQL.
func TestSQLMode_CutOffProcess(t *testing.T) {
	t.Parallel()
	redis := realparts.StartRedis(t)
	l := newLine(t, redis.Addr())
	f := sqlModeFight(t, "journal", database(t), redis.Addr(), l.listener.Addr().String())
	one, two := f.doors[0], f.doors[1]
	f.doors = f.doors[:1]
	f.run(func() {
		f.morePaid(50)
		l.cut(true)
		f.awaitMode("", two)
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-time.After(time.Second) {
			// A busy machine may let the check of Redis take too long: the process at Redis is not ready for a moment then.
			if a, b := one.mode(), two.mode(); a == "sql" || b != "" {
				t.Fatalf("the process at Redis has mode %q, the other one %q", a, b)
			}
		}
		f.morePaid(50)
		l.cut(false)
		f.awaitMode("redis", one, two)
		f.stop()
	})
	e, err := store.NewStock(f.db()).OpenEpoch(t.Context(), 0)
	if err != nil || e.Number != 1 {
		t.Errorf("the open epoch is %+v, %v; want the first", e, err)
	}
	f.verify()
	f.nothingLost()
}
