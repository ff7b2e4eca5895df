package sqlmode

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/wire"
)

// share is the reserve share of the shops without durability sql, in percent.
const share = 40

// noTime is that of an order with a card.
var noTime time.Time

// firstStock are the units of the products before the first order.
var firstStock = map[order.SKU]int64{"A": 60, "B": 25, "C": 7}

// fixture is a shop in an epoch with journal.ModeSQL, on a database of its own.
type fixture struct {
	t          *testing.T
	durability string
	db         *store.DB
	stock      *store.Stock
	orders     *store.Orders
	epoch      journal.Epoch
}

// onBoth runs the test on MySQL and on SQLite, with all stock for sale and with a share of it.
func onBoth(t *testing.T, test func(t *testing.T, f *fixture)) {
	for _, durability := range []string{store.DurabilitySQL, store.DurabilityJournal} {
		t.Run(durability+" on mysql", func(t *testing.T) { test(t, openFixture(t, realparts.MySQL(t), durability)) })
		t.Run(durability+" on sqlite", func(t *testing.T) {
			test(t, openFixture(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"), durability))
		})
	}
}

// onSQLite is onBoth without MySQL, whose tables take long to make.
func onSQLite(t *testing.T, test func(t *testing.T, f *fixture)) {
	for _, durability := range []string{store.DurabilitySQL, store.DurabilityJournal} {
		t.Run(durability, func(t *testing.T) {
			test(t, openFixture(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"), durability))
		})
	}
}

func openFixture(t *testing.T, dsn, durability string) *fixture {
	t.Helper()
	db, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	f := &fixture{t: t, durability: durability, db: db, stock: store.NewStock(db), orders: store.NewOrders(db)}
	for sku, n := range firstStock {
		f.must(store.NewProducts(db).Create(t.Context(), store.Product{
			SKU: sku, Name: "n", Price: order.Money{Currency: "EUR", Amount: 100}, Stock: n,
		}, "test"))
	}
	_, err = f.stock.NextEpoch(t.Context(), journal.Offset{}, journal.Epoch{Instance: "run1", Durability: durability, ReserveShare: share})
	f.must(err)
	f.switchToSQL()
	return f
}

// switchToSQL opens an epoch with journal.ModeSQL after the open one.
func (f *fixture) switchToSQL() {
	f.t.Helper()
	open, err := f.stock.OpenEpoch(f.t.Context(), 0)
	f.must(err)
	f.epoch, err = f.stock.OpenSQLEpoch(f.t.Context(), open)
	f.must(err)
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// mode is the mode of one process.
func (f *fixture) mode(limits stock.Limits) *Mode {
	return New(f.durability, limits, f.stock, f.orders)
}

// units reads the stock of the products.
func (f *fixture) units() map[order.SKU]store.Units {
	f.t.Helper()
	units, err := f.stock.SQLUnits(f.t.Context(), []order.SKU{"A", "B", "C"})
	f.must(err)
	return units
}

// request makes the order of a customer with the key.
func request(t *testing.T, customer order.CustomerID, key string, demand ...order.Demand) stock.Request {
	t.Helper()
	return requestOf(t, customer, key, noTime, demand)
}

// requestOf is request; an order that expires is paid later.
func requestOf(t *testing.T, customer order.CustomerID, key string, expires time.Time, demand []order.Demand) stock.Request {
	t.Helper()
	o := orderOf(customer, key, expires, demand)
	if err := o.Price(0); err != nil {
		t.Fatal(err)
	}
	return snapshotOf(t, o)
}

func orderOf(customer order.CustomerID, key string, expires time.Time, demand []order.Demand) order.Order {
	now := time.Now().UTC().Truncate(time.Microsecond)
	o := order.Order{
		ID: order.NewID(0, now), CustomerID: customer, Currency: "EUR", Email: "a@example.com", TrackingID: "T",
		Address:        order.Address{Name: "N", Street: "S", City: "C", Region: "R", PostalCode: "P", CountryCode: "DE"},
		IdempotencyKey: key, CreatedAt: now, UpdatedAt: now, ExpiresAt: expires,
	}
	for _, d := range demand {
		o.Fingerprint = append(o.Fingerprint, string(d.SKU)[0], byte(d.Quantity))
		o.Lines = append(o.Lines, order.Line{SKU: d.SKU, Name: "n", Quantity: d.Quantity, UnitPrice: 100})
	}
	return o
}

func snapshotOf(t *testing.T, o order.Order) stock.Request {
	t.Helper()
	snapshot, err := wire.MarshalSnapshot(o)
	if err != nil {
		t.Fatal(err)
	}
	return stock.Request{
		OrderID: o.ID, Customer: o.CustomerID, Key: o.IdempotencyKey, Fingerprint: o.Fingerprint, Demand: o.Demand(), Snapshot: snapshot,
		PayLater: !o.ExpiresAt.IsZero(),
	}
}

// stockRules are the rules of the audit about orders and stock. Those about money do not apply: nothing is charged here.
var stockRules = []string{
	"stock_adds_up", "stock_not_negative", "row_matches_journal", "journal_applied_once", "journal_has_no_gaps", "units_return_once",
	"cancelled_gives_units_back", "state_known", "totals_add_up", "items_have_order", "paid_has_mail",
}

// audit checks the rules about stock.
func (f *fixture) audit() {
	f.t.Helper()
	r, err := audit.Run(context.WithoutCancel(f.t.Context()), store.NewAudits(f.db), audit.Options{Drained: true})
	f.must(err)
	for _, name := range stockRules {
		if !slices.ContainsFunc(r.Rules, func(res audit.Result) bool { return res.Rule == name }) {
			f.t.Errorf("the audit has no rule %s", name)
		}
	}
	for _, v := range r.Violations {
		if slices.Contains(stockRules, v.Rule) {
			f.t.Errorf("the audit: %+v", v)
		}
	}
}

// outcome names the result of a step.
func outcome(err error) string {
	var limit *order.LimitError
	var soldOut *order.SoldOutError
	var refused *order.RefusalError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &limit):
		return "limit " + string(limit.Limit)
	case errors.As(err, &soldOut):
		return "sold out"
	case errors.As(err, &refused) && refused.Reason == order.ReasonReserveSoldOut && errors.Is(err, order.ErrUnavailable):
		return "reserve sold out"
	case errors.Is(err, order.ErrKeyReused):
		return "key reused"
	case errors.Is(err, order.ErrInvalid):
		return "invalid"
	case errors.Is(err, order.ErrNotFound):
		return "not found"
	case errors.Is(err, order.ErrAlreadyExists):
		return "exists"
	case errors.Is(err, order.ErrFailedPrecondition):
		return "failed precondition"
	case errors.Is(err, order.ErrUnavailable):
		return "unavailable"
	}
	return err.Error()
}
