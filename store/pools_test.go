package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// TestPools_FullPoolLeavesTheOthersAlone holds every connection of one kind of work; the others are served.
func TestPools_FullPoolLeavesTheOthersAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		products := store.NewProducts(db)
		if err := products.Create(t.Context(), store.Product{SKU: "MUG", Name: "Mug", Price: order.Money{Currency: "EUR", Amount: 1}}, "t"); err != nil {
			t.Fatal(err)
		}
		work := map[string]func(ctx context.Context) error{
			"reads": func(ctx context.Context) error { _, err := store.NewProducts(db.Reads()).List(ctx, "", 1); return err },
			"searches": func(ctx context.Context) error {
				_, err := products.Find(ctx, store.ProductQuery{Text: "mug", Limit: 1})
				return err
			},
			"the rest": func(ctx context.Context) error {
				_, err := store.NewOrders(db).Get(ctx, order.NewID(0, at))
				return err
			},
		}
		for full, occupy := range db.Pools() {
			release := occupy(t)
			for name, do := range work {
				wait := time.Minute // for what is served
				if name == full {
					wait = 200 * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), wait)
				err := do(ctx)
				cancel()
				if served := err == nil || errors.Is(err, order.ErrNotFound); served == (name == full) {
					t.Errorf("with all connections for %s taken, %s: %v", full, name, err)
				}
			}
			release()
		}
	})
}

// TestSearch_WaitsForASecondAtMost: a search that gets no connection is told to come again, and SQL is not blamed for it.
func TestSearch_WaitsForASecondAtMost(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		f := &fakeBreaker{timeout: time.Minute}
		db.Guard(f)
		release := db.Pools()["searches"](t)
		defer release()
		began := time.Now()
		_, err := store.NewProducts(db).Find(t.Context(), store.ProductQuery{Text: "mug", Limit: 1})
		var retry *order.RetryError
		if !errors.Is(err, order.ErrOverloaded) || !errors.As(err, &retry) {
			t.Errorf("got %v; want busy with a hint", err)
		}
		if took := time.Since(began); took > f.timeout/2 {
			t.Errorf("it took %s", took)
		}
		if len(f.reported) != 1 || !errors.Is(f.reported[0], breaker.ErrCallerLeft) {
			t.Errorf("reported %v", f.reported)
		}
	})
}

// TestSearch_SlowOneEndsInTheServer: MySQL itself ends a search that takes too long, and the caller is told to come again.
func TestSearch_SlowOneEndsInTheServer(t *testing.T) {
	db := openDB(t, realparts.MySQL(t))
	if ms := db.SearchSetting(t, "max_execution_time"); ms != "1000" {
		t.Errorf("searches may run for %s ms; want 1000", ms)
	}
}

// TestOpen_StoppedProcess: the transaction of a process that was stopped ends, and with it its locks, also that of the epoch, for which all others wait.
// An idle connection is closed before MySQL closes it.
func TestOpen_StoppedProcess(t *testing.T) {
	db := openDB(t, realparts.MySQL(t))
	seconds, err := store.Count(t.Context(), db, "SELECT @@SESSION.wait_timeout")
	if wait := time.Duration(seconds) * time.Second; err != nil || wait != store.IdleInTransaction || wait <= store.ConnIdle {
		t.Errorf("MySQL waits %s (%v) for the next statement of a transaction; want %s, and more than %s", wait, err, store.IdleInTransaction, store.ConnIdle)
	}
}
