package audit_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "modernc.org/sqlite"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// onBoth runs the test on MySQL and on SQLite, migrated and empty.
func onBoth(t *testing.T, test func(t *testing.T, w *fixture)) {
	t.Run("mysql", func(t *testing.T) {
		dsn := realparts.MySQL(t)
		test(t, open(t, dsn, "mysql", dsn))
	})
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "test.db")
		test(t, open(t, "sqlite:"+path, "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"))
	})
}

// fixture is the database of a small shop, with a raw connection to corrupt it.
type fixture struct {
	t             *testing.T
	db            *store.DB
	orders        *store.Orders
	ledger        *store.Charges
	stock         *store.Stock
	cancellations *store.Cancellations
	raw           *sql.Conn
	ids           map[string]order.ID
	offset        string
	ranges        int
}

func open(t *testing.T, dsn, driver, rawDSN string) *fixture {
	t.Helper()
	db, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	pool, err := sql.Open(driver, rawDSN)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := &fixture{
		t: t, db: db, orders: store.NewOrders(db), ledger: store.NewCharges(db), stock: store.NewStock(db), cancellations: store.NewCancellations(db), raw: raw,
		ids: map[string]order.ID{}, offset: "0-0",
	}
	t.Cleanup(func() {
		w.ledger.Close()
		for _, err := range []error{raw.Close(), pool.Close(), db.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return w
}

// within returns a copy for a subtest.
func (w fixture) within(t *testing.T) *fixture {
	w.t = t
	return &w
}

func (w *fixture) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// exec runs a statement in which {name} is the id of an order.
func (w *fixture) exec(statement string, args ...any) {
	w.t.Helper()
	for name, id := range w.ids {
		statement = strings.ReplaceAll(statement, "{"+name+"}", "'"+string(id)+"'")
	}
	r, err := w.raw.ExecContext(w.t.Context(), statement, args...)
	if err != nil {
		w.t.Fatalf("%s: %v", statement, err)
	}
	if n, err := r.RowsAffected(); err == nil && n == 0 && !strings.HasPrefix(statement, "PRAGMA") && !strings.HasPrefix(statement, "ALTER") &&
		!strings.HasPrefix(statement, "CREATE") {
		w.t.Fatalf("%s: changed nothing", statement)
	}
}

// order makes an order of 2 A and 1 B; its total is 898 cents.
func (w *fixture) order(name string) order.Order {
	now := time.Now().UTC().Truncate(time.Microsecond)
	o := order.Order{
		ID: order.NewID(0, now), CustomerID: "c1", Currency: "EUR", Email: "a@example.com", TrackingID: "T-" + name,
		Lines:          []order.Line{{SKU: "A", Name: "a", Quantity: 2, UnitPrice: 150}, {SKU: "B", Name: "b", Quantity: 1, UnitPrice: 99}},
		Address:        order.Address{Name: "N", Street: "S", City: "C", Region: "R", PostalCode: "P", CountryCode: "DE"},
		IdempotencyKey: name, Fingerprint: []byte{1}, CreatedAt: now, UpdatedAt: now,
	}
	w.must(o.Price(499))
	w.ids[name] = o.ID
	return o
}

func took(o order.Order) store.Hold  { return held(o, -1) }
func gives(o order.Order) store.Hold { return held(o, 1) }

func held(o order.Order, times int64) store.Hold {
	h := store.Hold{OrderID: o.ID}
	for _, l := range o.Lines {
		h.Deltas = append(h.Deltas, order.Delta{SKU: l.SKU, Units: times * int64(l.Quantity)})
	}
	return h
}

// flush applies the stock changes of the entries, as the flusher does.
func (w *fixture) flush(holds ...store.Hold) {
	w.t.Helper()
	r := store.Range{Deltas: map[order.SKU]int64{}}
	for _, h := range holds {
		if h.Deltas[0].Units > 0 {
			r.Releases = append(r.Releases, store.Return{Hold: h})
			continue
		}
		r.Holds = append(r.Holds, h)
		for _, d := range h.Deltas {
			r.Deltas[d.SKU] += d.Units
		}
	}
	w.apply(r)
}

func (w *fixture) apply(r store.Range) {
	w.t.Helper()
	w.ranges++
	last := fmt.Sprintf("%d-0", 1000+w.ranges)
	r.Epoch, r.PrevID, r.FirstID, r.LastID, r.Entries, r.Durability = 1, w.offset, last, last, 1, store.DurabilityJournal
	for _, returns := range [][]store.Return{r.Releases, r.Restocks} {
		for i := range returns {
			returns[i].EntryID = last
		}
	}
	_, err := w.stock.FlushRange(w.t.Context(), r)
	w.must(err)
	w.offset = last
}

func (w *fixture) write(o order.Order, to order.State) {
	w.t.Helper()
	_, err := w.orders.Apply(w.t.Context(), []order.Event{{Order: o, To: to, At: time.Now()}})
	w.must(err)
}

func (w *fixture) charge(o order.Order, state order.ChargeState) {
	w.t.Helper()
	_, err := w.ledger.Record(w.t.Context(), order.Charge{
		OrderID: o.ID, ChargeID: string(order.NewID(0, time.Now())), State: state, Amount: order.Money{Currency: o.Currency, Amount: o.Total},
	})
	w.must(err)
}

const cancellation = "INSERT INTO order_cancellations (order_id, reason, actor, units, refund_amount, refund_currency, attempts, next_try_at, " +
	"created_at, refunded_at, restocked_at, finished_at) VALUES "

// populate makes one order in each possible situation, through the repositories.
func (w *fixture) populate() {
	w.t.Helper()
	ctx := w.t.Context()
	for sku, n := range map[order.SKU]int64{"A": 100, "B": 50, "C": 0} {
		w.must(store.NewProducts(w.db).Create(ctx, store.Product{
			SKU: sku, Name: "x", Price: order.Money{Currency: "EUR", Amount: 1}, Stock: n,
		}, "test"))
	}
	_, err := w.stock.NextEpoch(ctx, journal.Offset{}, journal.Epoch{Instance: "run1", Durability: store.DurabilityJournal})
	w.must(err)
	w.exec("UPDATE stock_epochs SET opened_at = " + old)

	pending, paid, shipped, failed := w.order("pending"), w.order("paid"), w.order("shipped"), w.order("failed")
	declined, refunded, lost := w.order("declined"), w.order("refunded"), w.order("lost")
	w.ids["nobody"], w.ids["stranger"] = order.NewID(0, time.Now()), order.NewID(0, time.Now().Add(-time.Hour))
	w.flush(took(pending), took(paid), took(shipped), took(failed))
	w.flush(took(declined), took(refunded), took(lost))
	w.flush(gives(declined))
	w.write(pending, order.Pending)
	for _, o := range []order.Order{paid, shipped, failed, refunded} {
		w.charge(o, order.ChargeSucceeded)
		w.write(o, order.Paid)
	}
	w.charge(declined, order.ChargeDeclined)
	w.write(declined, order.Cancelled)
	for _, o := range []order.Order{paid, shipped, failed} {
		w.must(store.NewMails(w.db).MarkSent(ctx, []order.SentMail{{MailID: order.MailID{OrderID: o.ID, Kind: order.MailConfirmation}}}))
	}
	_, err = w.orders.Ship(ctx, []order.Shipment{{OrderID: shipped.ID, TrackingID: "T", ShippedAt: time.Now()}})
	w.must(err)
	w.must(w.orders.MarkShipFailed(ctx, []order.ID{failed.ID}))

	// An operator refunded a part of one.
	part, err := w.ledger.RefundOrder(ctx, store.RefundRequest{
		OrderID: failed.ID, RefundID: "part", Key: "k", Amount: order.Money{Currency: "EUR", Amount: 100}, Reason: "late", Actor: "ops",
	})
	w.must(err)
	_, err = w.ledger.ConfirmRefund(ctx, part)
	w.must(err)

	// One was cancelled after it was paid, and one was lost with its Redis after its stock was taken.
	_, err = w.cancellations.Cancel(ctx, refunded.ID, []order.State{order.Paid}, order.CancelReason{Text: "changed my mind"}, "c1")
	w.must(err)
	w.must(w.cancellations.Enqueue(ctx, []store.Cancellation{{
		OrderID: lost.ID, Reason: order.CancelReason{Text: "lost"}, Actor: "test", Units: gives(lost).Deltas,
	}}))
	refund, _, err := w.ledger.Refund(ctx, refunded.ID, string(order.NewID(0, time.Now())), "changed my mind")
	w.must(err)
	_, err = w.ledger.ConfirmRefund(ctx, refund)
	w.must(err)
	w.charge(lost, order.ChargeVoided)
	w.apply(store.Range{Restocks: []store.Return{{Hold: gives(refunded)}, {Hold: gives(lost)}}})
	for id, amount := range map[order.ID]order.Money{refunded.ID: {Currency: "EUR", Amount: refunded.Total}, lost.ID: {}} {
		w.must(w.cancellations.Refunded(ctx, id, amount))
		if done, err := w.cancellations.Finish(ctx, id); err != nil || !done {
			w.t.Fatalf("finish the cancellation of %s: %v, %v", id, done, err)
		}
	}
}

func (w *fixture) audit(o audit.Options) audit.Report {
	w.t.Helper()
	r, err := audit.Run(context.WithoutCancel(w.t.Context()), store.NewAudits(w.db), o)
	if err != nil {
		w.t.Fatalf("audit: %v", err)
	}
	return r
}

// found lists the violations as "RULE ORDER-OR-SKU", with the names of the orders.
func (w *fixture) found(r audit.Report) []string {
	out := []string{}
	for _, f := range r.Violations {
		whom := string(f.SKU)
		for name, id := range w.ids {
			if id == f.OrderID {
				whom = strings.TrimSpace(whom + " " + name)
			}
		}
		out = append(out, strings.TrimSpace(f.Rule+" "+whom))
	}
	slices.Sort(out)
	return out
}

// wants checks that exactly these violations are reported, and that the counts agree.
func (w *fixture) wants(mode string, r audit.Report, want []string) {
	w.t.Helper()
	want = slices.Sorted(slices.Values(want))
	if got := w.found(r); !slices.Equal(got, want) {
		w.t.Errorf("%s: found %q\nwant %q\n%+v", mode, got, want, r.Violations)
	}
	var broken int64
	for _, rule := range r.Rules {
		broken += rule.Violations
	}
	if r.OK != (len(want) == 0) || broken != int64(len(want)) {
		w.t.Errorf("%s: ok is %v with %d broken; want %d", mode, r.OK, broken, len(want))
	}
}
