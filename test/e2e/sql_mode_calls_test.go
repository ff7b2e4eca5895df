package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/test/realparts"
)

// slowestCall bounds a call while Redis is unavailable. Those that place, pay or cancel an order wait for a new epoch first, for some seconds; the server
// gives each 15 s, and a busy machine takes longer.
const slowestCall = 40 * time.Second

// outcomes of a call.
const (
	done        = "ok"
	unavailable = "unavailable"
	refused     = "failed_precondition"
)

// sqlModeCall is a call while orders are taken in SQL.
type sqlModeCall struct {
	procedure, token, body string
	// key is the idempotency key; empty for none.
	key string
	// want is the outcome with durability sql, and wantReserve with journal, where Redis may hold what SQL does not have; empty for the same.
	want, wantReserve string
}

// sqlModeOrders are orders of the customer, by what happened to them before.
type sqlModeOrders struct{ sku, token, paid, waiting, inSQL, waitingInSQL string }

// sqlModeCalls are all calls that a client or an operator may send.
func (s *shop) sqlModeCalls(o sqlModeOrders) []sqlModeCall {
	op := s.operator()
	id := func(order string) string { return fmt.Sprintf(`{"orderId":%q}`, order) }
	line := fmt.Sprintf(`{"sku":%q,"quantity":1}`, o.sku)
	adjust := func(units string, id string) string {
		return fmt.Sprintf(`{"sku":%q,"delta":%q,"reason":"r","adjustmentId":%q}`, o.sku, units, id)
	}
	cartOrder := strings.Replace(payLater(o.sku, 1), fmt.Sprintf(`"lines":[{"sku":%q,"quantity":1}],`, o.sku), "", 1)
	return []sqlModeCall{
		{procedure: "SessionService/StartGuestSession", body: "{}", want: done},
		{procedure: "CatalogService/ListProducts", body: "{}", want: done},
		{procedure: "CatalogService/GetProduct", body: fmt.Sprintf(`{"sku":%q}`, o.sku), want: done},
		{procedure: "CatalogService/SearchProducts", body: `{"query":"thing"}`, want: done},
		{procedure: "CurrencyService/GetSupportedCurrencies", body: "{}", want: done},
		{procedure: "CatalogService/CreateProduct", token: op, want: done, body: `{"product":{"sku":"NEW-IN-SQL","name":"thing",` +
			`"price":{"currencyCode":"USD","units":"1"}},"initialStock":"10"}`},
		// It is changed; that the caches of all processes know is up to Redis.
		{procedure: "CatalogService/UpdateProduct", token: op, want: unavailable, body: `{"product":{"sku":"NEW-IN-SQL","name":"other"},"updateMask":"name"}`},
		{procedure: "CatalogService/AdjustStock", token: op, body: adjust("5", "more"), want: done},
		{procedure: "CatalogService/AdjustStock", token: op, body: adjust("5", "more"), want: done},
		{procedure: "CatalogService/AdjustStock", token: op, body: adjust("-1", "fewer"), want: done, wantReserve: unavailable},
		{procedure: "CheckoutService/Quote", token: o.token, want: done, body: strings.Replace(payLater(o.sku, 1), `"email":"a@example.com",`, "", 1)},
		{procedure: "CheckoutService/PlaceOrder", token: o.token, body: orderBody(o.sku, 1, goodCard), key: "new", want: done},
		{procedure: "CheckoutService/PlaceOrder", token: o.token, body: orderBody(o.sku, 1, goodCard), key: "new", want: done},
		{procedure: "CheckoutService/PlaceOrder", token: o.token, body: orderBody("NEW-IN-SQL", 1, goodCard), key: "new-product", want: done},
		{procedure: "CheckoutService/PlaceOrder", token: o.token, body: orderBody(o.sku, 1, "4000000000000341"), key: "unanswered", want: done},
		{procedure: "CheckoutService/PlaceOrder", token: o.token, body: orderBody(o.sku, 999, goodCard), key: "many", want: refused},
		{
			procedure:   "CheckoutService/PlaceOrder",
			token:       o.token,
			body:        orderBody(o.sku, 9, goodCard),
			key:         "beyond-the-reserve",
			want:        done,
			wantReserve: unavailable,
		},
		{procedure: "OrderService/GetOrder", token: o.token, body: id(o.paid), want: done},
		{procedure: "OrderService/GetOrder", token: o.token, body: id(o.inSQL), want: done},
		{procedure: "OrderService/GetOrder", token: o.token, body: id(string(order.NewID(0, time.Now()))), want: "not_found", wantReserve: unavailable},
		{procedure: "OrderService/ListOrders", token: o.token, body: "{}", want: done},
		{procedure: "OrderService/ListOrders", token: op, body: "{}", want: done},
		{procedure: "CheckoutService/PayOrder", token: o.token, body: payBody(o.waiting, goodCard), want: done},
		{procedure: "CheckoutService/PayOrder", token: o.token, body: payBody(o.waitingInSQL, "4000000000000002"), want: refused},
		{procedure: "OrderService/CancelOrder", token: o.token, body: id(o.waitingInSQL), want: done},
		{procedure: "OrderService/CancelOrder", token: o.token, body: id(o.waitingInSQL), want: done},
		{procedure: "DeadLetterService/ListDeadLetters", token: op, body: "{}", want: done},
		{procedure: "AuditService/RunAudit", token: op, body: "{}", want: done},
		{procedure: "CartService/AddItem", token: o.token, body: line, want: unavailable},
		{procedure: "CartService/SetQuantity", token: o.token, body: line, want: unavailable},
		{procedure: "CartService/GetCart", token: o.token, body: "{}", want: unavailable},
		{procedure: "CartService/EmptyCart", token: o.token, body: "{}", want: unavailable},
		{procedure: "CartService/MergeGuestCart", token: op, body: fmt.Sprintf(`{"guestToken":%q}`, o.token), want: unavailable},
		{procedure: "CheckoutService/PlaceOrder", token: o.token, body: cartOrder, key: "of-the-cart", want: unavailable},
	}
}

// TestSQLMode_EveryCall: while orders are taken in SQL each call has a sensible result, or is unavailable with a retry hint. None hangs, and none fails with
// an internal error. The commands of an operator work as well.
func TestSQLMode_EveryCall(t *testing.T) {
	t.Parallel()
	for _, durability := range []string{"sql", "journal"} {
		t.Run(durability, func(t *testing.T) {
			t.Parallel()
			redis := realparts.StartRedis(t)
			s := onRealParts(t, redis.Addr(), sqlModeArgs(t, durability, "--reserve-share", "50")...)
			o := sqlModeOrders{sku: s.product(20), token: s.guest()}
			place := func(body, key string) string {
				return s.must("CheckoutService/PlaceOrder", o.token, body, "Idempotency-Key", key).Order.ID
			}
			o.paid, o.waiting = place(orderBody(o.sku, 1, goodCard), "paid"), place(payLater(o.sku, 1), "waiting")
			s.inSQL(o.paid, order.Shipped)
			s.inSQL(o.waiting, order.Pending)
			// A charge is under way when Redis goes, and an order is watched over both switches.
			slow, seen := make(chan reply, 1), make(chan watched, 1)
			go func() {
				r, _ := s.call("CheckoutService/PlaceOrder", s.guest(), orderBody(o.sku, 1, "4000000000000077"), "Idempotency-Key", "slow")
				slow <- r
			}()
			opened := make(chan struct{})
			go func() { seen <- s.watch(o.token, o.waiting, "", 2, opened) }()
			<-time.After(500 * time.Millisecond) // The card takes 1.5 s.
			_ = receive(t, startTimeout, "the watcher to be let in", opened)
			redis.Kill9()
			o.inSQL = s.paysWithin(sqlModeLimit, o.sku, o.token, "in-sql").Order.ID
			o.waitingInSQL = place(payLater(o.sku, 1), "waiting-in-sql")
			for _, c := range s.sqlModeCalls(o) {
				s.inSQLMode(c, durability)
			}
			if w := receive(t, watchTime, "the watched order", seen); len(w.states) != 2 || w.states[1] != watchedPaid && w.states[1] != watchedShipped {
				t.Errorf("the watched order: %+v", w)
			}
			if r := receive(t, callTimeout, "the order with the slow card", slow); r.Status != http.StatusOK &&
				(r.Code != unavailable || r.Header.Get("Retry-After") == "") {
				t.Errorf("the order with the slow card: %s", r.Raw)
			}
			s.commandsInSQLMode(durability)
			redis.Restart()
			s.eventually(startTimeout, "orders to be taken in Redis again", func() bool { return s.mode() == "redis" })
			s.inSQL(o.inSQL, order.Shipped)
			s.eventually(drainTime, "the audit to pass", func() bool { return s.audit("--drained", "--wait", auditWait).status == 0 })
		})
	}
}

// inSQLMode sends the call, and sends it again while it is unavailable although it is to work: on a busy machine some calls take too long. None may hang.
func (s *shop) inSQLMode(c sqlModeCall, durability string) {
	s.t.Helper()
	want := c.want
	if durability != "sql" && c.wantReserve != "" {
		want = c.wantReserve
	}
	var headers []string
	if c.key != "" {
		headers = []string{"Idempotency-Key", c.key}
	}
	for first := time.Now(); ; <-time.After(retryEvery) {
		began := time.Now()
		r, err := s.call(c.procedure, c.token, c.body, headers...)
		got, took := r.Code, time.Since(began)
		if err == nil && r.Status == http.StatusOK {
			got = done
		}
		again := err == nil && got != want && got == unavailable && r.Header.Get("Retry-After") != "" && took <= slowestCall
		if again && time.Since(first) < startTimeout {
			continue
		}
		if err != nil || got != want || got == unavailable && r.Header.Get("Retry-After") == "" || took > slowestCall {
			s.t.Errorf("%s %s: %s after %s, %s (%v); want %s", c.procedure, c.body, got, took, r.Raw, err, want)
		}
		return
	}
}

// commandsInSQLMode runs the commands.
func (s *shop) commandsInSQLMode(durability string) {
	s.t.Helper()
	if a := s.audit(); a.status != 0 || len(a.Findings) > 0 {
		s.t.Errorf("audit: %+v", a)
	}
	run := func(args ...string) string {
		out, err := command(s.t, binary, args...).CombinedOutput()
		if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() < 0) { //nolint:errorlint // It is not wrapped.
			s.t.Errorf("spillway %v: %v", args, err)
		}
		return string(out)
	}
	if out := run("durability", "replica", "--mysql", s.dsn); !strings.Contains(out, "orders are taken in SQL") {
		s.t.Errorf("durability: %s", out)
	}
	if out := run("durability", "--mysql", s.dsn); strings.TrimSpace(out) != durability {
		s.t.Errorf("durability: %s", out)
	}
	drained := slices.Concat([]string{"audit", "--drained", "--output", "json", "--mysql", s.dsn}, s.flag("--redis"), s.flag("--redis-namespace"))
	if out := run(drained...); !strings.Contains(strings.ToLower(out), "redis") {
		s.t.Errorf("audit --drained without Redis: %s", out)
	}
}

// flag returns the flag of the shop with its value.
func (s *shop) flag(name string) []string {
	i := slices.Index(s.args, name)
	return s.args[i : i+2]
}
