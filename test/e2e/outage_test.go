package e2e

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

const (
	// externalBuyers buy at once, each with a pause between two orders: the machine has other work.
	externalBuyers = 16
	externalPause  = 250 * time.Millisecond
	// externalRetry is the pause before a refused call is sent again.
	externalRetry = 250 * time.Millisecond
	// externalOutage is how long an external service is in trouble.
	externalOutage = 12 * time.Second
	// externalDrain bounds the time until all is drained after an outage, rescues and rechecks included.
	externalDrain = 5 * time.Minute
	// bystanderLimit is less than what a slow provider adds to a call, and much more than a call takes on a busy machine. Half of the calls are faster: the
	// others may meet a machine that does something else.
	bystanderLimit = 1500 * time.Millisecond
)

// outage is a shop with an external service in trouble, and buyers who do not know.
type outage struct {
	*shop
	sku, file    string
	provider     *sql.DB // what the provider charged
	carrier      *sql.DB // what the carrier has
	began, ended time.Time

	stop chan struct{}
	wg   sync.WaitGroup

	mu     sync.Mutex
	told   map[order.ID]string // the last state that a client was told
	owners map[order.ID]string // their tokens
	asked  map[order.ID]bool   // to be cancelled
	calls  map[string][]outageCall
}

// outageCall is one call and its response: the code of an error, or the state of an order.
type outageCall struct {
	at      time.Time
	took    time.Duration
	outcome string
}

// openOutage opens a shop on MySQL and Redis, with buyers, and returns when they have bought something.
func openOutage(t *testing.T, more ...string) *outage {
	t.Helper()
	dir := t.TempDir()
	o := &outage{
		file: filepath.Join(dir, "outages"), stop: make(chan struct{}), told: map[order.ID]string{}, owners: map[order.ID]string{},
		asked: map[order.ID]bool{}, calls: map[string][]outageCall{},
	}
	provider, carrier := filepath.Join(dir, "provider.db"), filepath.Join(dir, "carrier.db")
	o.shop = onRealParts(t, realparts.Redis(t), append([]string{
		"--durability", "journal", "--customer-orders", "0", "--reconcile-after", "4s", "--repair-after", "5s",
		"--simulate-provider-file", provider, "--simulate-carrier-file", carrier, "--simulate-outages", o.file,
	}, more...)...)
	o.provider, o.carrier = openWitness(t, provider), openWitness(t, carrier)
	o.sku = o.product(1_000_000)
	for n := range externalBuyers {
		token := o.guest()
		o.wg.Go(func() { o.buy(token, n) })
	}
	t.Cleanup(o.close)
	o.paidSince(time.Now(), "an order to be paid before the outage")
	return o
}

func openWitness(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// set sets the modes of provider and carrier.
func (o *outage) set(lines ...string) {
	o.t.Helper()
	next := o.file + ".next" // Renamed, so that no half of it is read.
	if err := os.WriteFile(next, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		o.t.Fatal(err)
	}
	if err := os.Rename(next, o.file); err != nil {
		o.t.Fatal(err)
	}
}

// during makes trouble for externalOutage, and on a busy machine until orders with a card got each of the outcomes, with a change of the modes each second by
// turns if there are several.
func (o *outage) during(outcomes []string, modes ...string) {
	o.t.Helper()
	o.suffer(outcomes, func(i int) { o.set(modes[i%len(modes)]) })
	o.set()
	o.ended = time.Now()
}

// suffer calls the function each second for as long as during says.
func (o *outage) suffer(outcomes []string, change func(second int)) {
	o.t.Helper()
	missing := func() bool {
		got := o.outcomes()
		return slices.ContainsFunc(outcomes, func(outcome string) bool { return got[outcome] == 0 })
	}
	o.began = time.Now()
	for i := 0; time.Since(o.began) < externalOutage || missing() && time.Since(o.began) < startTimeout; i++ {
		change(i)
		<-time.After(time.Second)
	}
}

// buy places orders until close, each with retries by its key until the response is definite.
func (o *outage) buy(token string, buyer int) {
	for i := 0; ; i++ {
		key := fmt.Sprintf("%d-%d", buyer, i)
		for {
			select {
			case <-o.stop:
				return
			default:
			}
			r := o.record("PlaceOrder", "CheckoutService/PlaceOrder", token, orderBody(o.sku, 1, goodCard), "Idempotency-Key", key)
			if !isRetryable(r) {
				break
			}
			<-time.After(externalRetry)
		}
		<-time.After(externalPause)
	}
}

// isRetryable reports whether a client repeats the request.
func isRetryable(r reply) bool { return r.Code == "unavailable" || r.Code == "resource_exhausted" }

// record makes a call and records it under the name. A response that no client understands fails the test.
func (o *outage) record(name, procedure, token, body string, headers ...string) reply {
	began := time.Now()
	r, err := o.call(procedure, token, body, headers...)
	c := outageCall{at: began, took: time.Since(began), outcome: r.Code}
	if r.Status == http.StatusOK {
		c.outcome = strings.TrimPrefix(r.Order.State, "ORDER_STATE_")
	}
	if err != nil || r.Status != http.StatusOK && !isRetryable(r) && r.Code != "failed_precondition" {
		o.t.Errorf("%s: %d %s (%v)", name, r.Status, r.Raw, err)
	}
	if isRetryable(r) && r.Header.Get("Retry-After") == "" {
		o.t.Errorf("%s is refused without a retry hint: %s", name, r.Raw)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls[name] = append(o.calls[name], c)
	if r.Status == http.StatusOK && r.Order.ID != "" {
		o.told[order.ID(r.Order.ID)], o.owners[order.ID(r.Order.ID)] = c.outcome, token
	}
	return r
}

// insist is record until the response is definite: an order without a card that is not cancelled would wait for its expiry.
func (o *outage) insist(name, procedure, token, body string, headers ...string) reply {
	for began := time.Now(); ; <-time.After(externalRetry) {
		if r := o.record(name, procedure, token, body, headers...); !isRetryable(r) || time.Since(began) > startTimeout {
			return r
		}
	}
}

// cancelPaid cancels paid orders, one after the other, until the function returned is called.
func (o *outage) cancelPaid() (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			id, token := o.nextToCancel()
			for r := (reply{Code: "unavailable"}); id != "" && isRetryable(r); {
				select {
				case <-done:
					return
				case <-time.After(retryEvery):
				}
				r = o.record("CancelOrder", "OrderService/CancelOrder", token, fmt.Sprintf(`{"orderId":%q,"reason":"mind"}`, id))
			}
			select {
			case <-done:
				return
			case <-time.After(externalPause):
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// nextToCancel returns an order that was told to be paid during the outage, with its owner's token, and empty strings if there is none.
func (o *outage) nextToCancel() (order.ID, string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, state := range o.told {
		if state == "PAID" && !o.asked[id] {
			o.asked[id] = true
			return id, o.owners[id]
		}
	}
	return "", ""
}

// bystanders make calls that need neither provider nor carrier, one after the other, until the function returned is called.
func (o *outage) bystanders() (stop func()) {
	o.t.Helper()
	done, token := make(chan struct{}), o.guest()
	var wg sync.WaitGroup
	wg.Go(func() {
		quote, _, _ := strings.Cut(payLater(o.sku, 1), `,"email"`)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			o.insist("ListProducts", "CatalogService/ListProducts", token, `{}`)
			o.insist("AddItem", "CartService/AddItem", token, fmt.Sprintf(`{"sku":%q,"quantity":1}`, o.sku))
			o.insist(
				"Quote",
				"CheckoutService/Quote",
				token,
				quote+`,"shippingAddress":{"name":"A","street":"S 1","city":"Berlin","postalCode":"10115","countryCode":"DE"}}`,
			)
			r := o.insist("PlaceOrder without a card", "CheckoutService/PlaceOrder", token, payLater(o.sku, 1), "Idempotency-Key", fmt.Sprint("later-", i))
			o.insist("GetOrder", "OrderService/GetOrder", token, fmt.Sprintf(`{"orderId":%q}`, r.Order.ID))
			o.insist("CancelOrder", "OrderService/CancelOrder", token, fmt.Sprintf(`{"orderId":%q,"reason":"mind"}`, r.Order.ID))
			<-time.After(externalPause)
		}
	})
	return func() { close(done); wg.Wait() }
}

var bystanderCalls = []string{"ListProducts", "AddItem", "Quote", "PlaceOrder without a card", "GetOrder", "CancelOrder"}

// bystandersServed checks that the calls that need no provider were neither refused nor slow, apart from some that a busy machine explains: where a call
// depends on the provider, most are.
func (o *outage) bystandersServed() {
	o.t.Helper()
	for _, name := range bystanderCalls {
		var took []time.Duration
		refused := 0
		for _, c := range o.callsOf(name) {
			if c.outcome == "unavailable" || c.outcome == "resource_exhausted" {
				refused++
			}
			took = append(took, c.took)
		}
		if len(took) == 0 {
			o.t.Errorf("%s was not called", name)
			continue
		}
		slices.Sort(took)
		if slow := took[len(took)/2]; slow > bystanderLimit || refused > len(took)/2 {
			o.t.Errorf("of %d calls of %s %d were refused, and half took %s or more; want at most half, and %s", len(took), name, refused, slow, bystanderLimit)
		}
	}
}

// callsOf are the calls of the name that began during the outage.
func (o *outage) callsOf(name string) (out []outageCall) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.calls[name] {
		if c.at.After(o.began) && (o.ended.IsZero() || c.at.Before(o.ended)) {
			out = append(out, c)
		}
	}
	return out
}

// first is the first response to PlaceOrder with a card since the time that has one of the outcomes.
func (o *outage) first(since time.Time, outcomes ...string) (after time.Duration, found bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.calls["PlaceOrder"] {
		if end := c.at.Add(c.took); end.After(since) && slices.Contains(outcomes, c.outcome) && (!found || end.Sub(since) < after) {
			after, found = end.Sub(since), true
		}
	}
	return after, found
}

// paidSince waits until an order was paid after the time.
func (o *outage) paidSince(since time.Time, what string) time.Duration {
	o.t.Helper()
	var after time.Duration
	o.eventually(startTimeout, what, func() (found bool) {
		after, found = o.first(since, "PAID")
		return found
	})
	return after
}

// outcomes counts the responses to PlaceOrder with a card during the outage.
func (o *outage) outcomes() map[string]int { return o.outcomesOf("PlaceOrder") }

// outcomesOf counts the responses to the calls of the name during the outage.
func (o *outage) outcomesOf(name string) map[string]int {
	out := map[string]int{}
	for _, c := range o.callsOf(name) {
		out[c.outcome]++
	}
	return out
}

// mostlyPaid checks that most of the orders with a card were paid during the outage, of those that a limit did not refuse. On a busy machine a charge may take
// longer than its 2.5 s, and a call to Redis longer than its second.
func (o *outage) mostlyPaid() {
	o.t.Helper()
	got, others := o.outcomes(), 0
	for outcome, n := range got {
		if outcome != "PAID" && outcome != "resource_exhausted" {
			others += n
		}
	}
	if got["PAID"] == 0 || got["PAID"] < others {
		o.t.Errorf("the responses to orders with a card: %v; want PAID", got)
	}
}

// breakerCloses waits until the breaker is closed, as it is unless the machine is very busy.
func (s *shop) breakerCloses(name string) {
	s.t.Helper()
	s.eventually(startTimeout, "the breaker of "+name+" to be closed", func() bool { return s.breakers()[name] == "closed" })
}

func (o *outage) close() {
	select {
	case <-o.stop:
	default:
		close(o.stop)
	}
	o.wg.Wait()
}

// verify waits until all is drained and checks that the audit agrees, that each order that was told to be paid is, that the provider has one charge for
// each order that is paid and none for others, and the carrier one parcel for each order that is shipped. It logs what docs/operations.md lists.
func (o *outage) verify() {
	o.t.Helper()
	refused, _ := o.first(o.began, "unavailable", "resource_exhausted")
	paid := o.paidSince(o.ended, "an order to be paid after the outage")
	o.close()
	o.eventually(externalDrain, "the orders to end", func() bool { return o.open() == 0 })
	if a := o.audit("--drained", "--wait", externalDrain.String()); !a.OK {
		o.t.Errorf("the audit found %+v", a.Findings)
	}
	o.t.Logf("%s: first refusal after %s, first paid order %s after the return, drained after %s; responses: %v", o.t.Name(),
		refused.Round(10*time.Millisecond), paid.Round(10*time.Millisecond), time.Since(o.ended).Round(time.Second), o.outcomes())
	o.toldIsTrue()
	o.witnessesAgree()
}

// open is the number of orders that are in no final state, and of refunds that are not confirmed.
func (o *outage) open() (n int) {
	o.t.Helper()
	o.inMySQL("SELECT (SELECT COUNT(*) FROM orders WHERE state NOT IN (?, ?)) + (SELECT COUNT(*) FROM refunds WHERE confirmed_at IS NULL)",
		[]any{order.Shipped, order.Cancelled}, &n)
	return n
}

func (o *outage) inMySQL(query string, args []any, into ...any) {
	o.t.Helper()
	db, err := sql.Open("mysql", o.dsn)
	if err != nil {
		o.t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query, args...).Scan(into...); err != nil {
		o.t.Fatal(err)
	}
}

// toldIsTrue checks that SQL has each order that a client was told of, in the state that it was told or a later one.
func (o *outage) toldIsTrue() {
	o.t.Helper()
	orders := store.NewOrders(o.db())
	for id, state := range o.told {
		row, err := orders.Get(o.t.Context(), id)
		switch {
		case err != nil:
			o.t.Errorf("order %s was told to be %s: %v", id, state, err)
		case state == "PAID" && row.State == order.Cancelled && !o.asked[id], state == "CANCELLED" && row.State != order.Cancelled:
			o.t.Errorf("order %s was told to be %s, and is %s (%s)", id, state, row.State, row.CancelReason)
		}
	}
}

// witnessesAgree compares the orders in SQL with what provider and carrier did.
func (o *outage) witnessesAgree() {
	o.t.Helper()
	charged, parcels := o.ids(o.provider, "SELECT order_id FROM outcomes WHERE succeeded = 1 AND refunded = 0"), o.ids(o.carrier, "SELECT order_id FROM parcels")
	mysql, err := sql.Open("mysql", o.dsn)
	if err != nil {
		o.t.Fatal(err)
	}
	defer mysql.Close()
	shipped := o.ids(mysql, fmt.Sprintf("SELECT id FROM orders WHERE state = %d", order.Shipped))
	if !slices.Equal(charged, shipped) {
		o.t.Errorf("the provider holds the money of %d orders, and %d are shipped", len(charged), len(shipped))
	}
	if !slices.Equal(parcels, shipped) {
		o.t.Errorf("the carrier has %d parcels, and %d orders are shipped", len(parcels), len(shipped))
	}
	if len(shipped) == 0 {
		o.t.Error("no order was shipped")
	}
}

// ids are sorted.
func (o *outage) ids(db *sql.DB, query string) (out []string) {
	o.t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		o.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			o.t.Fatal(err)
		}
		out = append(out, id)
	}
	if err := rows.Err(); err != nil {
		o.t.Fatal(err)
	}
	slices.Sort(out)
	return out
}
