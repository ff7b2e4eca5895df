package workers_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/mail"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/workers"
)

const (
	// drainedOrders is how many orders are drained to count statements: several batches of each worker.
	drainedOrders = 2000
	// maxStatements bounds the SQL statements of an order from the journal to SHIPPED, commits included.
	maxStatements = 0.1
	// maxMailStatements bounds those of both mails of an order.
	maxMailStatements = 0.1
	// placers is how many orders are placed at once.
	placers = 32
)

// server is a private MySQL with its own counters.
type server struct {
	db  *sql.DB
	pid int
}

func openServer(t *testing.T, dsn string) *server {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	s := &server{db: db}
	var file string
	if err := db.QueryRowContext(t.Context(), "SELECT @@pid_file").Scan(&file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err == nil {
		s.pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// status reads a global counter.
func (s *server) status(t *testing.T, name string) int {
	t.Helper()
	var n int
	if err := s.db.QueryRowContext(t.Context(), "SHOW GLOBAL STATUS LIKE '"+name+"'").Scan(&name, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// cpu is the processor time that the server has used.
func (s *server) cpu(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		t.Fatalf("parse %q: %v, %v", text, err1, err2)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100.
}

// ownCPU is the processor time that this process has used.
func ownCPU(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// place reserves and settles n orders, placers at once, as servers do.
func (s *shop) place(t *testing.T, n int) []order.ID {
	t.Helper()
	ids := make([]order.ID, n)
	var wg sync.WaitGroup
	for first := range placers {
		wg.Go(func() {
			for i := first; i < n; i += placers {
				o := freshOrder()
				ids[i] = o.ID
				s.reserve(t, o)
				s.settle(t, o)
			}
		})
	}
	wg.Wait()
	return ids
}

// restock raises the stock of both products.
func (s *shop) restock(t *testing.T, units int64) {
	t.Helper()
	for _, sku := range []order.SKU{"A", "B"} {
		if _, _, err := s.Adjust(t.Context(), 1, order.Adjustment{ID: "restock-" + string(sku), SKU: sku, Units: units, Reason: "test", Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	s.flush(t)
}

type instantCarrier struct{}

func (instantCarrier) Ship(context.Context, order.Order) error { return nil }

// TestDrain_StatementsPerOrder drains a backlog with the default batches and counts the statements at the server: at most maxStatements an
// order from the journal to SHIPPED. It logs the processor time, which is the other half of the drain's cost.
func TestDrain_StatementsPerOrder(t *testing.T) {
	mysql := realparts.StartMySQL(t)
	db := openDB(t, mysql.MySQL())
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, counters := openShop(t, db), openServer(t, mysql.MySQL())
	s.restock(t, 10*drainedOrders)
	b := openQueue(t, s)
	producer, err := b.Producer()
	if err != nil {
		t.Fatal(err)
	}
	cfg := workers.DefaultRelayConfig("orders", "relay-1")
	cfg.Block = briefly
	relay := workers.NewOrderRelay(cfg, s.journal, s.sql, s.snapshots(), producer, s.dead, quiet)
	writer := workers.NewOrderWriter(workers.DefaultWriterConfig(), consumer(t, b, "orders"), s.orders, s.dead, s.Stock, &fakeCanceller{}, quiet)
	shipper := workers.NewShipper(workers.DefaultShipConfig(), consumer(t, b, "shipping"), s.orders, s.dead, instantCarrier{}, quiet)
	ids := s.place(t, drainedOrders)

	total, all := 0, 0*time.Second
	for _, w := range []struct {
		name string
		run  func(context.Context) (int, error)
	}{{"flusher", s.flusher(s.sql).RunOnce}, {"relay", relay.RunOnce}, {"writer", writer.RunOnce}, {"shipper", shipper.RunOnce}} {
		statements, server, own := counters.status(t, "Questions"), counters.cpu(t), ownCPU(t)
		drained(t, w.run)
		n := counters.status(t, "Questions") - statements - 1 // That of the counter itself.
		server, own = counters.cpu(t)-server, ownCPU(t)-own
		t.Logf("%-8s %.4f statements, %4d µs of mysqld, %4d µs of this process an order", w.name, float64(n)/drainedOrders,
			(server / drainedOrders).Microseconds(), (own / drainedOrders).Microseconds())
		total, all = total+n, all+server
	}
	t.Logf("%-8s %.4f statements, %4d µs of mysqld an order", "all", float64(total)/drainedOrders, (all / drainedOrders).Microseconds())
	if got := float64(total) / drainedOrders; got > maxStatements {
		t.Errorf("%.4f statements an order; want at most %.1f", got, maxStatements)
	}
	states, err := s.orders.States(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if states[id] != order.Shipped {
			t.Fatalf("order %s is %v", id, states[id])
		}
	}
	s.wantStock(t, 100+8*drainedOrders, 100+9*drainedOrders)
	s.wantFewMailStatements(t, consumer(t, b, "mail"), counters)
}

// discarding is an SMTP server that accepts every mail.
type discarding struct{}

func (discarding) Send(_ context.Context, mails []mail.Message) []error {
	return make([]error, len(mails))
}

// wantFewMailStatements sends both mails of each order and counts the statements.
func (s *shop) wantFewMailStatements(t *testing.T, in queue.Consumer, counters *server) {
	t.Helper()
	messages, err := mail.NewMessages("shop@example.com")
	if err != nil {
		t.Fatal(err)
	}
	mails := store.NewMails(s.db)
	service := mail.NewService(mails, discarding{}, messages)
	client := mail.Client{
		Service: service, Local: service, Policy: breaker.NewPolicies(breaker.DefaultPolicies())[breaker.Mail],
	}
	mailer := workers.NewMailer(workers.DefaultMailConfig(), in, mails, s.dead, client, quiet)
	dispatcher := workers.NewMailDispatcher(workers.DefaultDispatchConfig(), mails, s.orders, client, quiet)
	total := 0
	for _, w := range []struct {
		name string
		run  func(context.Context) (int, error)
	}{{"mailer", mailer.RunOnce}, {"dispatcher", dispatcher.RunOnce}} {
		statements, server, own := counters.status(t, "Questions"), counters.cpu(t), ownCPU(t)
		drained(t, w.run)
		n := counters.status(t, "Questions") - statements - 1 // That of the counter itself.
		t.Logf("%-10s %.4f statements, %4d µs of mysqld, %4d µs of this process an order", w.name, float64(n)/drainedOrders,
			((counters.cpu(t) - server) / drainedOrders).Microseconds(), ((ownCPU(t) - own) / drainedOrders).Microseconds())
		total += n
	}
	if got := float64(total) / drainedOrders; got > maxMailStatements {
		t.Errorf("%.4f statements for the mails of an order; want at most %.1f", got, maxMailStatements)
	}
	var sent int
	if err := counters.db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM sent_mails").Scan(&sent); err != nil || sent != 2*drainedOrders {
		t.Errorf("%d mails were sent, %v; want %d", sent, err, 2*drainedOrders)
	}
}
