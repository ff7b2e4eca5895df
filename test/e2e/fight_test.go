package e2e

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql" // To look behind the shop's back.
	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

const (
	fightUnits    = 100
	fightBuyers   = 64
	fightAttempts = 5000
	// giveUp bounds the retries of one attempt: longer than a process is frozen while other parts go, come back, and take over, on a busy machine.
	giveUp = 3 * time.Minute
	// retryEvery is a client's pause before it sends the same request again. In a fight it grows up to retryMost, so that the retries of all buyers leave
	// the machine to what is being repaired.
	retryEvery = 50 * time.Millisecond
	retryMost  = 400 * time.Millisecond
	// reconcileAfter is --reconcile-after of a shop without the flag.
	reconcileAfter = 30 * time.Second
)

// fight is many buyers after one SKU.
type fight struct {
	*shop
	sku string
	// units are for sale; the buyers make so many tries, with a pause after each.
	units, tries int
	pause        time.Duration
	// buyers is their number.
	buyers int
	// doors are the shops that the buyers use by turns; all have one database.
	doors []*shop
	// listed reports whether a violation is one that the audit may list; nil allows none.
	listed func(auditFinding) bool
	// forgets means that an acknowledged order may be lost, so that its retry makes another one.
	forgets bool
	// once means that a client never repeats a request with a definite answer.
	once bool
	// observe gets each response, with the time that the call took; nil for none.
	observe func(r reply, err error, took time.Duration)

	mu       sync.Mutex
	attempts int
	paid     map[string]bool // the orders that were answered as paid
	pending  map[string]bool
	soldOut  int
	unknown  int // attempts that got no definite answer at all
	over     bool
	moved    chan struct{}
}

// unsettledCodes are the reasons of the payment reconciler: it voided the charge, or found that it had voided it before it could cancel the order.
var unsettledCodes = []string{"CANCEL_CODE_PAYMENT_UNKNOWN", "CANCEL_CODE_PAYMENT_VOIDED"}

func newFight(s *shop) *fight {
	return &fight{
		shop: s, sku: s.product(fightUnits), units: fightUnits, tries: fightAttempts, buyers: fightBuyers, doors: []*shop{s},
		paid: map[string]bool{}, pending: map[string]bool{}, moved: make(chan struct{}),
	}
}

// run lets the buyers loose while trouble makes some, and returns when all attempts are made. Trouble has the test's own goroutine: when
// it fails the test, as where a server does not come back, the buyers stop after the call that they are in.
func (f *fight) run(trouble func()) {
	f.t.Helper()
	tokens := make([]string, f.buyers) // before anything is killed
	for b := range tokens {
		tokens[b] = f.guest()
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() {
		if f.t.Failed() {
			f.stop()
		}
	}()
	for b, token := range tokens {
		wg.Go(func() {
			for i := 0; f.next(); i++ {
				f.attempt(f.doors[b%len(f.doors)], token, fmt.Sprintf("%d-%d", b, i))
				<-time.After(f.pause)
			}
		})
	}
	trouble()
}

func (f *fight) next() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attempts++
	return f.attempts <= f.tries && !f.over
}

func (f *fight) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
}

func (f *fight) stopped() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.over
}

// attempt places one order, with retries by the same key until the answer is definite, and sometimes once more after it: every
// answer must name the same order.
func (f *fight) attempt(door *shop, token, key string) {
	var id string
	begin, pause := time.Now(), retryEvery
	more := rand.IntN(3) // how many times a client retries
	if f.once {
		more = 0
	}
	for {
		began := time.Now()
		r, err := door.call("CheckoutService/PlaceOrder", token, orderBody(f.sku, 1, goodCard), "Idempotency-Key", key)
		if f.observe != nil {
			f.observe(r, err, time.Since(began))
		}
		if id != "" && err == nil && r.Status == http.StatusOK && r.Order.ID != id && !f.forgets {
			f.t.Errorf("key %s got order %s and order %s", key, id, r.Order.ID)
		}
		definite := err == nil && (r.Status == http.StatusOK || r.Code == "failed_precondition")
		switch {
		case definite:
			f.answered(r, time.Since(begin) >= door.reconcilesAfter())
			id = r.Order.ID
		case err == nil && r.Code != "unavailable" && r.Code != "resource_exhausted":
			f.t.Errorf("key %s got %d %s", key, r.Status, r.Raw)
			return
		case err == nil && r.Header.Get("Retry-After") == "":
			f.t.Errorf("key %s got %s without a retry hint", key, r.Raw)
		}
		if definite && (more == 0 || id == "") {
			return
		}
		if definite {
			more--
		}
		if f.stopped() {
			return
		}
		if time.Since(begin) > giveUp {
			f.gaveUp(key, r, err)
			return
		}
		if !definite {
			<-time.After(pause)
			pause = min(2*pause, retryMost)
		}
	}
}

// gaveUp counts an attempt without a definite answer. The first one logs what it got instead, and ends the fight: the others would wait as
// long each.
func (f *fight) gaveUp(key string, r reply, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unknown++; f.unknown == 1 {
		f.t.Errorf("key %s got no definite answer within %s; the last one: %d %s (%v)", key, giveUp, r.Status, r.Raw, err)
	}
	f.over = true
}

// answered counts a definite response. An order may be cancelled that is late: it was placed --reconcile-after ago, and its payment has no outcome yet, as
// where its process was frozen, a server away, or the machine busy with something else.
func (f *fight) answered(r reply, late bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch r.Order.State {
	case "":
		f.soldOut++
	case "ORDER_STATE_PENDING":
		f.pending[r.Order.ID] = true
	case "ORDER_STATE_CANCELLED":
		if late && slices.Contains(unsettledCodes, r.Order.CancelCode) {
			delete(f.pending, r.Order.ID)
			break
		}
		f.t.Errorf("an order was cancelled: %s", r.Raw)
	default:
		delete(f.pending, r.Order.ID)
		f.paid[r.Order.ID] = true
	}
	close(f.moved)
	f.moved = make(chan struct{})
}

// whenPaid returns once that many orders were answered as paid, or no more come.
func (f *fight) whenPaid(n int) {
	limit := time.After(giveUp)
	for {
		f.mu.Lock()
		enough, moved := len(f.paid) >= n || f.soldOut > f.units, f.moved
		f.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-moved:
		case <-limit:
			f.t.Fatalf("waited %s in vain for %d orders to be answered as paid", giveUp, n)
		}
	}
}

// rows counts the orders of the SKU in MySQL by state.
func (f *fight) rows() map[order.State]int {
	f.t.Helper()
	db, err := sql.Open("mysql", f.dsn)
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT o.state, SUM(i.quantity) FROM orders o JOIN order_items i ON i.order_id = o.id WHERE i.sku = ? GROUP BY o.state", f.sku)
	if err != nil {
		f.t.Fatal(err)
	}
	defer rows.Close()
	out := map[order.State]int{}
	for rows.Next() {
		var s order.State
		var n int
		if err := rows.Scan(&s, &n); err != nil {
			f.t.Fatal(err)
		}
		out[s] = n
	}
	if err := rows.Err(); err != nil {
		f.t.Fatal(err)
	}
	return out
}

func (f *fight) taken() int {
	n := 0
	for state, units := range f.rows() {
		if state != order.Cancelled {
			n += units
		}
	}
	return n
}

func (f *fight) stockInSQL() int64 {
	f.t.Helper()
	units, err := store.NewStock(f.db()).SQLUnits(f.t.Context(), []order.SKU{order.SKU(f.sku)})
	if err != nil {
		f.t.Fatal(err)
	}
	return units[order.SKU(f.sku)].Stock
}

const (
	// drainTime bounds the drain after a kill: what the killed relay and the killed workers held comes again when their leases have run out, after 15 s and
	// 30 s, one after the other, what the queue lost is repaired after a minute, and a busy machine takes several times as long.
	drainTime = 4 * time.Minute
	// auditWait is for how long an audit waits until all is drained, which it usually is by then.
	auditWait = "2m"
)

// nothingLost checks that each order that was answered as paid is in SQL as paid or later, once the drain is done (I5).
func (f *fight) nothingLost() {
	f.t.Helper()
	paid := ids(f.paid)
	f.awaitSettled("SQL to have each order that was answered as paid", paid)
	found, err := f.states(paid)
	if err != nil {
		f.t.Fatal(err)
	}
	for id, state := range found {
		if !state.Follows(order.Paid) || state == order.Cancelled {
			f.t.Errorf("order %s was answered as paid; SQL has %v", id, state)
		}
	}
}

// allTaken checks that exactly the units there are were taken. One may be left that was cancelled after the last attempt.
func (f *fight) allTaken() {
	f.t.Helper()
	f.eventually(drainTime, "SQL to have every order", func() bool {
		left := int(f.stockInSQL())
		return f.taken()+left == f.units && left <= f.rows()[order.Cancelled]
	})
	f.nothingLost()
	if n := f.held(); n > f.units || f.unknown > 0 {
		f.t.Errorf("%d orders were answered for %d units; %d attempts got no definite answer", n, f.units, f.unknown)
	}
	f.t.Logf("paid %d, pending %d, sold out %d; rows %v", len(f.paid), len(f.pending), f.soldOut, f.rows())
}

// TestContention_ServerIsKilled: 64 buyers, 100 units, 5,000 attempts, retries, and kill -9 of the server.
func TestContention_ServerIsKilled(t *testing.T) {
	for _, durability := range []string{"journal", "sql"} {
		t.Run(durability, func(t *testing.T) {
			f := newFight(onRealParts(t, realparts.StartRedis(t).Addr(), "--durability", durability, "--customer-orders", "0"))
			f.run(func() {
				for _, n := range []int{15, 45, 75} {
					f.whenPaid(n)
					f.kill()
					f.start()
				}
			})
			f.allTaken()
		})
	}
}

// TestContention_RedisIsKilled: the same with Redis killed and started again on its append-only file.
func TestContention_RedisIsKilled(t *testing.T) {
	for _, durability := range []string{"journal", "sql"} {
		t.Run(durability, func(t *testing.T) {
			redis := realparts.StartRedis(t)
			f := newFight(onRealParts(t, redis.Addr(), "--durability", durability, "--customer-orders", "0"))
			f.run(func() {
				for _, n := range []int{20, 60} {
					f.whenPaid(n)
					redis.Kill9()
					redis.Restart()
				}
			})
			f.allTaken()
		})
	}
}

// TestContention_RedisIsWiped: FLUSHALL in the middle. With durability sql nothing is lost and never more than there is is
// answered as paid. With journal, SQL never has more than there is, and the charges of the lost orders are listed.
func TestContention_RedisIsWiped(t *testing.T) {
	for _, durability := range []string{"journal", "sql"} {
		t.Run(durability, func(t *testing.T) {
			redis := realparts.StartRedis(t)
			f := newFight(onRealParts(t, redis.Addr(), "--durability", durability, "--customer-orders", "0", "--lost-after", "1s", "--repair-after", "5s"))
			f.forgets = durability == "journal" // That is what the setting gives up for its speed.
			f.run(func() {
				f.whenPaid(40)
				flushAll(t, redis.Addr())
			})
			f.quiet()
			f.eventually(drainTime, "units in SQL that add up", func() bool {
				all := int64(f.taken()) + f.stockInSQL()
				// What was deducted for an order that was lost before its row was written comes back later: see totalsAddUp.
				return all == fightUnits || durability != "sql" && all < fightUnits
			})
			t.Logf("paid %d, pending %d, sold out %d; rows %v, stock %d", len(f.paid), len(f.pending), f.soldOut, f.rows(), f.stockInSQL())
			if durability == "sql" {
				f.nothingLost()
				if len(f.paid) > fightUnits {
					t.Errorf("%d orders were answered as paid for %d units", len(f.paid), fightUnits)
				}
			}
			f.lostChargesAreListed()
			f.totalsAddUp()
		})
	}
}

// quietFor is how long nothing must change for the drain to be at its end; it turns over in milliseconds.
const quietFor = 2 * time.Second

// quiet returns when rows and stock in SQL have not changed for a while.
func (f *fight) quiet() {
	f.t.Helper()
	seen, since := "", time.Now()
	f.eventually(drainTime, "SQL to come to rest", func() bool {
		if now := fmt.Sprint(f.rows(), f.stockInSQL()); now != seen {
			seen, since = now, time.Now()
		}
		return time.Since(since) > quietFor
	})
}

func flushAll(t *testing.T, addr string) {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	if err := c.Do(t.Context(), c.B().Flushall().Build()).Error(); err != nil {
		t.Error(err)
	}
}

// lostChargesAreListed checks that each order that was answered as paid is in SQL, or its charge is in the ledger, to be refunded or refunded by now.
func (f *fight) lostChargesAreListed() {
	f.t.Helper()
	ledger := store.NewCharges(f.db())
	defer ledger.Close()
	orders, lost := store.NewOrders(f.db()), 0
	for id := range f.paid {
		if _, err := orders.Get(f.t.Context(), order.ID(id)); err != nil {
			lost++
			ch, chargeErr := ledger.Get(f.t.Context(), order.ID(id))
			if chargeErr != nil || !slices.Contains([]order.ChargeState{order.ChargeSucceeded, order.ChargeRefunding, order.ChargeRefunded}, ch.State) {
				f.t.Errorf("order %s is lost (%v) and its charge is in state %d (%v)", id, err, ch.State, chargeErr)
			}
		}
	}
	f.t.Logf("%d orders were lost with their Redis", lost)
}

// totalsAddUp waits until the lost orders are found, and what was taken for them is given back: their units, and their money, once.
func (f *fight) totalsAddUp() {
	f.t.Helper()
	f.eventually(drainTime, "units and money of lost orders to be back", func() bool {
		return int64(f.taken())+f.stockInSQL() == int64(f.units) && f.keptForNothing() == 0
	})
	db, err := sql.Open("mysql", f.dsn)
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	var refunded, refunds int
	err = db.QueryRow("SELECT (SELECT COUNT(*) FROM charges WHERE state = 5), (SELECT COUNT(*) FROM refunds)").Scan(&refunded, &refunds)
	if err != nil || refunded != refunds {
		f.t.Errorf("%d charges are refunded by %d refunds (%v)", refunded, refunds, err)
	}
	f.t.Logf("%d charges were refunded", refunded)
	a := f.audit("--drained", "--wait", auditWait)
	all := len(a.Findings)
	if f.listed != nil {
		a.Findings = slices.DeleteFunc(a.Findings, f.listed)
	}
	if len(a.Findings) > 0 || a.status != 0 && all == 0 {
		f.t.Errorf("the totals do not add up: %+v", a)
	}
	f.t.Logf("the audit lists %d violations", all)
}

// keptForNothing counts the charges that took money, which the provider has not given back, and that have no sold order.
func (f *fight) keptForNothing() int {
	f.t.Helper()
	db, err := sql.Open("mysql", f.dsn)
	if err != nil {
		f.t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow("SELECT COUNT(*) FROM charges c LEFT JOIN orders o ON o.id = c.order_id WHERE c.state IN (2, 6) AND (o.id IS NULL OR o.state IN (0, 2))").Scan(&n); err != nil {
		f.t.Fatal(err)
	}
	return n
}

// TestEmbedded_SurvivesAKill: each order that was answered is there after kill -9, and the stock adds up.
func TestEmbedded_SurvivesAKill(t *testing.T) {
	s := embedded(t, "--customer-orders", "0")
	sku := order.SKU(s.product(1000))
	var mu sync.Mutex
	answered := map[string]bool{}
	for range 3 {
		var wg sync.WaitGroup
		enough := make(chan struct{}, 1)
		before := len(answered)
		for b := range 8 {
			token := s.guest()
			wg.Go(func() {
				for i := 0; ; i++ {
					r, err := s.call("CheckoutService/PlaceOrder", token, orderBody(string(sku), 1, goodCard), "Idempotency-Key", fmt.Sprint(b, "-", i))
					if err != nil {
						return // It was killed.
					}
					mu.Lock()
					if r.Order.State == "ORDER_STATE_PAID" {
						answered[r.Order.ID] = true
					}
					n := len(answered)
					mu.Unlock()
					if n >= before+40 {
						select {
						case enough <- struct{}{}:
						default:
						}
					}
				}
			})
		}
		_ = receive(t, giveUp, "orders to be answered as paid", enough)
		s.kill()
		wg.Wait()
		s.start()
	}
	db := s.db()
	orders := store.NewOrders(db)
	for id := range answered {
		if o, err := orders.Get(t.Context(), order.ID(id)); err != nil || !o.State.Follows(order.Paid) {
			t.Errorf("order %s was answered as paid; SQL has %v (%v)", id, o.State, err)
		}
	}
	_, units, err := store.NewStock(db).Snapshot(t.Context(), 0, []order.SKU{sku})
	if err != nil {
		t.Fatal(err)
	}
	taken, err := orders.UnitsTaken(t.Context(), sku)
	if err != nil || units[sku]+taken != 1000 {
		t.Errorf("%d in stock and %d taken (%v); want 1000 together", units[sku], taken, err)
	}
	t.Logf("%d orders were answered; %d units are taken", len(answered), taken)
}
