package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// onBoth runs the test on MySQL and on SQLite, migrated and empty.
func onBoth(t *testing.T, test func(t *testing.T, db *store.DB)) {
	for name, dsn := range map[string]func(t *testing.T) string{
		"mysql":  func(t *testing.T) string { return realparts.MySQL(t) },
		"sqlite": func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "test.db") },
	} {
		t.Run(name, func(t *testing.T) {
			db := openDB(t, dsn(t))
			if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
				t.Fatalf("migrate: %v", err)
			}
			test(t, db)
		})
	}
}

func openDB(t *testing.T, dsn string) *store.DB {
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
	return db
}

var at = time.Date(2026, 11, 24, 12, 0, 0, 123456000, time.UTC)

func anOrder(key string) order.Order {
	o := order.Order{
		ID: order.NewID(0, at), CustomerID: "c1", Currency: "EUR", Email: "a@example.com", TrackingID: "T1",
		Lines:          []order.Line{{SKU: "A", Name: "Äpfel", Quantity: 2, UnitPrice: 150}, {SKU: "B", Name: "B", Quantity: 1, UnitPrice: 99}},
		Address:        order.Address{Name: "N", Street: "S", City: "C", Region: "R", PostalCode: "P", CountryCode: "DE"},
		IdempotencyKey: key, Fingerprint: []byte{1, 2, 3}, CreatedAt: at, UpdatedAt: at,
	}
	if err := o.Price(499); err != nil {
		panic(err)
	}
	return o
}

func change(o order.Order, to order.State) order.Event {
	c := order.Event{Order: o, To: to, At: at.Add(time.Duration(to) * time.Second)}
	if to == order.Cancelled {
		c.Reason = order.CancelReason{Text: "declined"}
	}
	return c
}

func mustApply(t *testing.T, o *store.Orders, changes ...order.Event) store.Outcome {
	t.Helper()
	out, err := o.Apply(t.Context(), changes)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	return out
}

func wantState(t *testing.T, o *store.Orders, id order.ID, want order.State) {
	t.Helper()
	if got, err := o.Get(t.Context(), id); err != nil || got.State != want {
		t.Errorf("order %s is %v (%v); want %v", id, got.State, err, want)
	}
}

func TestOrders_ReadAsWritten(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders, o := store.NewOrders(db), anOrder("k1")
		mustApply(t, orders, change(o, order.Paid))
		got, err := orders.Get(t.Context(), o.ID)
		want := o
		want.State, want.UpdatedAt = order.Paid, at.Add(time.Second)
		if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("read %+v (%v)\nwant %+v", got, err, want)
		}
		if byKey, err := orders.FindByKey(t.Context(), "c1", "k1"); err != nil || byKey.ID != o.ID {
			t.Errorf("by key: %v, %v", byKey.ID, err)
		}
		if _, err := orders.FindByKey(t.Context(), "c1", "K1"); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("a key in other letters: %v; want ErrNotFound", err)
		}
		if _, err := orders.Get(t.Context(), order.NewID(0, at)); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("an unknown order: %v; want ErrNotFound", err)
		}
	})
}

// TestApply_StatesFollowTheTable tries every pair of states that a drain may meet (I7).
func TestApply_StatesFollowTheTable(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		for _, from := range order.States() {
			for _, to := range []order.State{order.Pending, order.Paid, order.Cancelled} {
				o := anOrder(fmt.Sprintf("%s-%s", from, to))
				bring(t, orders, o, from)
				out := mustApply(t, orders, change(o, to))
				want, refused := from, false
				switch {
				case from == order.Pending:
					want = to
				case to == order.Cancelled:
					refused = from != order.Cancelled // A paid order is cancelled with a refund, never by an event.
				default:
					refused = !from.Follows(to)
				}
				wantState(t, orders, o.ID, want)
				if (len(out.Refused) == 1) != refused {
					t.Errorf("%s → %s: refused = %v; want %v", from, to, out.Refused, refused)
				}
			}
		}
	})
}

func bring(t *testing.T, orders *store.Orders, o order.Order, to order.State) {
	t.Helper()
	switch to {
	case order.Shipped:
		mustApply(t, orders, change(o, order.Paid))
		if refused, err := orders.Ship(t.Context(), []order.Shipment{{OrderID: o.ID, TrackingID: "T", ShippedAt: at}}); err != nil || len(refused) > 0 {
			t.Fatalf("ship: %v %v", refused, err)
		}
	case order.ShipFailed:
		mustApply(t, orders, change(o, order.Paid))
		if err := orders.MarkShipFailed(t.Context(), []order.ID{o.ID}); err != nil {
			t.Fatal(err)
		}
	default:
		mustApply(t, orders, change(o, to))
	}
	wantState(t, orders, o.ID, to)
}

// TestApply_AnyOrderOfEvents shuffles, repeats and regroups the events of some orders (I8).
func TestApply_AnyOrderOfEvents(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		rapid.Check(t, func(r *rapid.T) {
			final := map[order.ID]order.State{}
			var events []order.Event
			for i := range rapid.IntRange(1, 4).Draw(r, "orders") {
				o := anOrder(fmt.Sprintf("%s-%d", order.NewID(0, at), i))
				last := rapid.SampledFrom([]order.State{order.Pending, order.Paid, order.Cancelled}).Draw(r, "last")
				final[o.ID] = last
				for range rapid.IntRange(1, 3).Draw(r, "copies") {
					events = append(events, change(o, order.Pending), change(o, last))
				}
			}
			events = rapid.Permutation(events).Draw(r, "events")
			for len(events) > 0 {
				n := rapid.IntRange(1, len(events)).Draw(r, "batch")
				if out, err := orders.Apply(t.Context(), events[:n]); err != nil || len(out.Refused)+len(out.Duplicates) > 0 {
					r.Fatalf("apply: %+v, %v", out, err)
				}
				events = events[n:]
			}
			for id, want := range final {
				got, err := orders.Get(t.Context(), id)
				if err != nil || got.State != want || len(got.Lines) != 2 || !got.UpdatedAt.Equal(at.Add(time.Duration(want)*time.Second)) {
					r.Fatalf("order is %+v (%v); want %v", got, err, want)
				}
			}
		})
	})
}

func TestOrders_KeyBelongsToOneOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders, first, second := store.NewOrders(db), anOrder("k"), anOrder("k")
		mustApply(t, orders, change(first, order.Paid))
		want := []store.Duplicate{{ID: second.ID, Of: first.ID}}
		for _, to := range []order.State{order.Pending, order.Paid, order.Paid} {
			if out := mustApply(t, orders, change(second, to)); !slices.Equal(out.Duplicates, want) {
				t.Errorf("%s: duplicates = %v; want %v", to, out.Duplicates, want)
			}
		}
		wantState(t, orders, first.ID, order.Paid)
		wantState(t, orders, second.ID, order.Cancelled)
	})
}

func TestApply_TwoWritersOfOneOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		var batch []order.Event
		for i := range 50 {
			batch = append(batch, change(anOrder(fmt.Sprint(i)), order.Paid))
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if out, err := orders.Apply(t.Context(), batch); err != nil || len(out.Duplicates) > 0 {
					t.Errorf("apply: %+v, %v", out, err)
				}
			})
		}
		wg.Wait()
		wantState(t, orders, batch[49].Order.ID, order.Paid)
	})
}

func TestDB_BadRowIsARowError(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders, good, bad := store.NewOrders(db), anOrder("good"), anOrder("bad")
		bad.Total++
		_, err := orders.Apply(t.Context(), []order.Event{change(good, order.Paid), change(bad, order.Paid)})
		if !store.IsRowError(err) {
			t.Errorf("a total that does not add up: %v; want a row error", err)
		}
		if _, err := orders.Get(t.Context(), good.ID); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("half of the batch was written: %v", err)
		}
	})
}

func TestProducts_CreateReadAndList(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		p := store.NewProducts(db)
		mug := store.Product{
			SKU:         "MUG",
			Name:        "A Mug",
			Description: "100% clay",
			Price:       order.Money{Currency: "USD", Amount: 899},
			Categories:  []string{"kitchen"},
			Stock:       3,
		}
		if err := p.Create(t.Context(), mug, "op"); err != nil {
			t.Fatal(err)
		}
		if err := p.Create(t.Context(), mug, "op"); !errors.Is(err, order.ErrAlreadyExists) {
			t.Errorf("create twice: %v; want ErrAlreadyExists", err)
		}
		for query, want := range map[string]int{"mug": 1, "CLAY": 1, "100%": 1, "1%c": 0, "_": 0} {
			if got, err := p.Find(t.Context(), store.ProductQuery{Text: query, Limit: 10}); err != nil || len(got) != want {
				t.Errorf("search %q: %d, %v; want %d", query, len(got), err, want)
			}
		}
		mug.Name, mug.Stock = "Mug", 99
		if err := p.Update(t.Context(), mug, store.ProductFields()); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Get(t.Context(), "MUG"); err != nil || got.Name != "Mug" || got.Stock != 3 {
			t.Errorf("after update: %+v, %v; want the new name and the old stock", got, err)
		}
		if err := p.Update(t.Context(), store.Product{SKU: "nope", Price: mug.Price}, store.ProductFields()); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("update of nothing: %v; want ErrNotFound", err)
		}
	})
}

func TestMigrator_UpOnBothDatabases(t *testing.T) {
	for name, dsn := range map[string]string{"mysql": realparts.MySQL(t), "sqlite": "sqlite:" + filepath.Join(t.TempDir(), "m.db")} {
		t.Run(name, func(t *testing.T) {
			db := openDB(t, dsn)
			m := store.NewMigrator(db)
			if err := m.Check(t.Context()); !errors.Is(err, store.ErrNotMigrated) {
				t.Errorf("check of an empty database: %v; want ErrNotMigrated", err)
			}
			if _, err := store.NewOrders(db).Get(t.Context(), order.NewID(0, at)); err == nil {
				t.Error("reading without tables did not fail")
			}
			first, err := m.Up(t.Context())
			if err != nil || len(first) == 0 {
				t.Fatalf("up: %v, %v", first, err)
			}
			if again, err := m.Up(t.Context()); err != nil || len(again) != 0 {
				t.Errorf("up again: %v, %v; want nothing to do", again, err)
			}
			if err := m.Check(t.Context()); err != nil {
				t.Errorf("check: %v", err)
			}
		})
	}
}
