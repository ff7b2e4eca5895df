package e2e

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

const (
	// brokerOutageVariable makes the outages longer, such as 10m. Without it they last until the journal is full.
	brokerOutageVariable = "SPILLWAY_TEST_OUTAGE"
	// brokerOutageJournal is the journal's bound, in entries. In a long outage there are brokerOutageRate orders a second and two
	// entries an order, so that it is full after 500 s.
	brokerOutageJournal     = 500
	longBrokerOutageJournal = 20_000
	brokerOutageRate        = 20
	brokerOutageBuyers      = 10
	brokerOutageUnits       = 1_000_000
	// shortBrokerOutage is longer than two calls to a frozen broker take, after which the adapter replaces its connection; it
	// ends when refusalsAwaited orders were refused.
	shortBrokerOutage = 12 * time.Second
	refusalsAwaited   = 10
	// brokerDrainLimit is the time from the broker's return until all is drained: leases of a minute, repairs after that,
	// and in a long outage some thousand orders.
	brokerDrainLimit = 6 * time.Minute
)

// brokerOutage is buyers at a shop while its broker is away.
type brokerOutage struct {
	*shop
	rows  *sql.DB
	sku   string
	pause time.Duration // of each buyer, after each order
	long  time.Duration // how long the broker is away; 0: shortBrokerOutage, and until orders are refused

	stop chan struct{}
	// hold keeps the buyers from buying while it is locked.
	hold sync.RWMutex
	mu   sync.Mutex
	// accepted are the orders that were paid, and refused counts the others.
	accepted []string
	refused  int
	// firstRefusal and lastRefusal are when orders were refused; zero if none was.
	firstRefusal, lastRefusal time.Time
}

// TestRocketMQ_Outage: while the broker is killed or frozen, orders are taken until the journal is full, and then refused with a hint when
// to come again. When it is back, all is drained, and nothing became a dead letter.
func TestRocketMQ_Outage(t *testing.T) {
	mq := realparts.StartRocketMQ(t, []string{"e2e-orders"}, []string{"orders", "shipping", "mail"})
	o := newBrokerOutage(t, mq.Addr())
	for name, trouble := range map[string]struct{ begin, end func() }{
		"killed": {mq.Kill9, mq.Restart},
		"frozen": {mq.Pause, mq.Resume},
	} {
		t.Run(name, func(t *testing.T) { o.runOnce(t, trouble.begin, trouble.end) })
	}
	if letters := o.letters(store.DeadLetterFilter{}); len(letters) > 0 {
		t.Errorf("the outages made %d dead letters, such as %+v", len(letters), letters[0])
	}
	if a := o.audit("--drained", "--wait", auditWait); a.status != 0 {
		t.Errorf("the audit ended with %d: %+v", a.status, a)
	}
}

func newBrokerOutage(t *testing.T, mq string) *brokerOutage {
	t.Helper()
	o := &brokerOutage{pause: 20 * time.Millisecond}
	bound := brokerOutageJournal
	if text := os.Getenv(brokerOutageVariable); text != "" {
		long, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("%s: %v", brokerOutageVariable, err)
		}
		o.long, o.pause, bound = long, time.Second*brokerOutageBuyers/brokerOutageRate, longBrokerOutageJournal
	}
	o.shop = onRealParts(t, realparts.StartRedis(t).Addr(), "--rocketmq", mq, "--topic", "e2e-orders", "--durability", "journal",
		"--customer-orders", "0", "--journal-max", strconv.Itoa(bound), "--simulate-provider-file", filepath.Join(t.TempDir(), "provider"))
	o.sku = o.product(brokerOutageUnits)
	var err error
	if o.rows, err = sql.Open("mysql", o.dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.rows.Close() })
	return o
}

func (o *brokerOutage) runOnce(t *testing.T, begin, end func()) {
	o.stop, o.firstRefusal, o.lastRefusal, o.refused = make(chan struct{}), time.Time{}, time.Time{}, 0
	end = sync.OnceFunc(end)
	defer end() // A frozen process cannot be ended gracefully.
	before := o.count()
	var buyers sync.WaitGroup
	for n := range brokerOutageBuyers {
		token := o.guest()
		buyers.Go(func() { o.buy(t, token, n) })
	}
	stop := sync.OnceFunc(func() { close(o.stop); buyers.Wait() })
	defer stop()
	o.eventually(startTimeout, "orders to be accepted", func() bool { return o.count() >= before+brokerOutageBuyers })
	// A journal that a busy machine has not worked off would have no room for orders of the outage.
	o.hold.Lock()
	goOn := sync.OnceFunc(o.hold.Unlock)
	defer goOn()
	o.drained(brokerDrainLimit)
	goOn()

	began, atBegin := time.Now(), o.count()
	begin()
	o.eventually(brokerDrainLimit+o.long, "the outage to have its effect", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return time.Since(began) >= max(o.long, shortBrokerOutage) && (o.refused >= refusalsAwaited || o.long > 0)
	})
	o.mu.Lock()
	first, accepted := o.firstRefusal, len(o.accepted)-atBegin
	o.mu.Unlock()
	returning := time.Now()
	end()
	returned := time.Now()
	// Two entries an order; entries of orders before, which are kept for a while after they were sent, take room as well.
	if o.long == 0 && accepted < brokerOutageJournal/16 {
		t.Errorf("%d orders were accepted meanwhile; the journal has room for %d entries, two an order", accepted, brokerOutageJournal)
	}
	if !first.IsZero() {
		n := o.count()
		o.eventually(brokerDrainLimit, "orders to be accepted again", func() bool { return o.count() > n+refusalsAwaited })
	}
	stop()
	o.drained(brokerDrainLimit)
	o.mu.Lock()
	defer o.mu.Unlock()
	t.Logf("away for %s; %d orders accepted meanwhile; first refusal after %s, last one %s after the broker was to return; "+
		"it took %s to return, and all was drained %s after that", returning.Sub(began).Round(time.Second), accepted,
		sinceText(began, first), sinceText(returning, o.lastRefusal), returned.Sub(returning).Round(100*time.Millisecond), sinceText(returned, time.Now()))
}

func sinceText(from, to time.Time) string {
	if to.IsZero() {
		return "(none)"
	}
	return to.Sub(from).Round(100 * time.Millisecond).String()
}

// buy places orders until it is stopped. Each is accepted, or refused because the journal is full. A busy machine may let one be unavailable or its payment be
// without an outcome, which counts as neither.
func (o *brokerOutage) buy(t *testing.T, token string, buyer int) {
	for n := 0; ; n++ {
		key := fmt.Sprintf("outage-%s-%d-%d", t.Name(), buyer, n)
		o.hold.RLock()
		r, err := o.call("CheckoutService/PlaceOrder", token, orderBody(o.sku, 1, goodCard), "Idempotency-Key", key)
		o.hold.RUnlock()
		full := r.Code == "resource_exhausted" && strings.Contains(r.Raw, "JOURNAL_FULL")
		late := r.Code == "unavailable" || r.Order.State == "ORDER_STATE_PENDING"
		if err != nil || !full && !late && r.Order.State != "ORDER_STATE_PAID" || r.Code != "" && r.Header.Get("Retry-After") == "" {
			t.Errorf("an order while the broker is away: %s (%v)", r.Raw, err)
			return
		}
		if !late {
			o.note(r.Order.ID, full)
		}
		select {
		case <-o.stop:
			return
		case <-time.After(o.pause):
		}
	}
}

func (o *brokerOutage) note(id string, refused bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !refused {
		o.accepted = append(o.accepted, id)
		return
	}
	o.refused++
	o.lastRefusal = time.Now()
	if o.firstRefusal.IsZero() {
		o.firstRefusal = o.lastRefusal
	}
}

func (o *brokerOutage) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.accepted)
}

// drained waits until each order that is accepted by now is shipped and mailed.
func (o *brokerOutage) drained(limit time.Duration) {
	o.t.Helper()
	want := o.count()
	o.eventually(limit, fmt.Sprintf("%d orders to be shipped with both mails", want), func() bool {
		var shipped, mails int
		err := o.rows.QueryRow("SELECT (SELECT COUNT(*) FROM orders WHERE state = 3), (SELECT COUNT(*) FROM sent_mails)").Scan(&shipped, &mails)
		return err == nil && shipped >= want && mails >= 2*want
	})
}
