package workers_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/workers"
)

// keyPrefix begins the names of all keys of the shop in Redis.
func (s *shop) keyPrefix() string { return "{" + s.keys.Namespace + ":" }

// copyOf is a copy of the shop's keys in Redis, as a replica has it.
func (s *shop) copyOf(t *testing.T) realparts.Keys {
	t.Helper()
	return realparts.CopyKeys(t, s.redis.Client(), s.keyPrefix())
}

// promote replaces the shop's keys in Redis by the copy, as when an older replica becomes the primary, and opens the next epoch.
func (s *shop) promote(t *testing.T, older realparts.Keys) {
	t.Helper()
	realparts.RestoreKeys(t, s.redis.Client(), s.keyPrefix(), older)
	before, err := s.sql.OpenEpoch(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, err := s.sql.OpenEpoch(t.Context(), 0); err != nil || after.Number != before.Number+1 {
		t.Fatalf("epoch %d is open after a rollback (%v); want the one after %d", after.Number, err, before.Number)
	}
}

func (s *shop) wantAvailable(t *testing.T, a, b int64) {
	t.Helper()
	left, err := s.Available(t.Context(), []order.SKU{"A", "B"})
	if err != nil || left["A"] != a || left["B"] != b {
		t.Errorf("Redis has %v (%v); want %d of A and %d of B", left, err, a, b)
	}
}

// TestPaymentReconciler_ReleaseLostByRedis: the order was released and SQL has its units again; Redis returns to a state with the charge in flight.
// The units of the order that is pending again must not be returned a second time, in either durability (I1, I6).
func TestPaymentReconciler_ReleaseLostByRedis(t *testing.T) {
	for _, durability := range []string{store.DurabilityJournal, store.DurabilitySQL} {
		for _, wiped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, wiped %t", durability, wiped), func(t *testing.T) {
				onBoth(t, func(t *testing.T, db *store.DB) {
					s := openShop(t, db)
					o := freshOrder()
					s.reserve(t, o)
					f := s.flusher(s.sql, func(c *workers.FlushConfig) { c.WithOrders = durability == store.DurabilitySQL })
					drained(t, f.RunOnce)
					if durability == store.DurabilityJournal { // Its row comes through the queue; its release never does.
						if _, err := s.orders.Apply(t.Context(), []order.Event{{Order: o, To: order.Pending, At: at}}); err != nil {
							t.Fatal(err)
						}
					}
					older := s.copyOf(t)
					s.release(t, o)
					drained(t, f.RunOnce)
					s.wantStock(t, 100, 100)
					if wiped {
						older = nil
					}
					s.promote(t, older)
					other := freshOrder()
					s.reserve(t, other) // Loads the counters, which a release raises.

					money := newFakePayments(&fakeCrash{}, other)
					money.set(o, order.ChargeDeclined)
					finisher := workers.NewCancellationFinisher(store.NewCancellations(s.db), money, s.Stock, quiet)
					for range 3 {
						if _, err := s.reconciler(money).RunOnce(t.Context()); err != nil {
							t.Fatal(err)
						}
						if _, err := finisher.RunOnce(t.Context()); err != nil {
							t.Fatal(err)
						}
						drained(t, f.RunOnce)
					}
					if _, err := s.Release(t.Context(), o.ID, "again", ""); err != nil && !errors.Is(err, order.ErrNotFound) {
						t.Errorf("release again: %v", err)
					}
					drained(t, f.RunOnce)
					s.wantStock(t, 98, 99)
					s.wantAvailable(t, 98, 99)
				})
			})
		}
	}
}

// TestPaymentReconciler_ChargedAfterItsUnitsReturned: the ledger has a charge of an order after its units were returned in SQL. The order is
// not PAID, and the charge is refunded.
func TestPaymentReconciler_ChargedAfterItsUnitsReturned(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		o := freshOrder()
		s.reserve(t, o)
		f := s.flusher(s.sql)
		drained(t, f.RunOnce)
		if _, err := s.orders.Apply(t.Context(), []order.Event{{Order: o, To: order.Pending, At: at}}); err != nil {
			t.Fatal(err)
		}
		s.release(t, o)
		drained(t, f.RunOnce)
		s.promote(t, nil)
		money := newFakePayments(&fakeCrash{}, o)
		finisher := workers.NewCancellationFinisher(store.NewCancellations(s.db), money, s.Stock, quiet)
		for range 3 {
			if _, err := s.reconciler(money).RunOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := finisher.RunOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			drained(t, f.RunOnce)
		}
		wantState(t, s.orders, o.ID, order.Cancelled)
		if money.refunds[o.ID] != 1 {
			t.Errorf("the money was returned %d times", money.refunds[o.ID])
		}
		s.wantStock(t, 100, 100)
		s.wantAvailable(t, 100, 100)
	})
}

// TestCancellationFinisher_ReleaseLostBeforeItWasFlushed: a cancelled order was charged in flight, and its release, which was to return
// its units, is lost with Redis. The cancellation returns them.
func TestCancellationFinisher_ReleaseLostBeforeItWasFlushed(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		o := freshOrder()
		s.reserve(t, o)
		f := s.flusher(s.sql, withOrders)
		drained(t, f.RunOnce)
		older := s.copyOf(t)
		s.release(t, o)
		cancellations := store.NewCancellations(s.db)
		if err := cancellations.Enqueue(t.Context(), []store.Cancellation{{OrderID: o.ID, Reason: order.CancelReason{Text: "r"}, Actor: "c1"}}); err != nil {
			t.Fatal(err)
		}
		s.wantStock(t, 98, 99)
		for name := range older { // Only the release is lost; the epoch ends all the same.
			if name == s.keys.Epoch() {
				delete(older, name)
			}
		}
		s.promote(t, older)
		money := newFakePayments(&fakeCrash{}, o)
		finisher := workers.NewCancellationFinisher(cancellations, money, s.Stock, quiet)
		for range 3 {
			if _, err := finisher.RunOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			drained(t, f.RunOnce)
			if err := cancellations.Defer(t.Context(), o.ID, time.Now().Add(-time.Second), false); err != nil {
				t.Fatal(err)
			}
		}
		wantState(t, s.orders, o.ID, order.Cancelled)
		s.wantStock(t, 100, 100)
		s.wantAvailable(t, 100, 100)
	})
}

// TestStockFlusher_SQLLostCommits: entries after the offset are trimmed. The flusher must not continue after the gap, and the
// epoch is closed.
func TestStockFlusher_SQLLostCommits(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		s.reserve(t, freshOrder())
		last := s.reserve(t, freshOrder())
		if _, err := s.journal.Trim(t.Context(), last.Epoch, last.ID); err != nil {
			t.Fatal(err)
		}
		var distrusted []int64
		f := s.flusher(s.sql).OnInconsistency(func(epoch int64) { distrusted = append(distrusted, epoch) })
		if _, err := f.RunOnce(t.Context()); err == nil {
			t.Error("the flusher went on")
		}
		s.wantStock(t, 100, 100)
		if !slices.Equal(distrusted, []int64{last.Epoch}) {
			t.Errorf("distrusted %v", distrusted)
		}
	})
}

// TestStockFlusher_DrainAfterSQLLostCommits flushes the remaining entries.
func TestStockFlusher_DrainAfterSQLLostCommits(t *testing.T) {
	s := openShop(t, openSQLite(t))
	s.reserve(t, freshOrder())
	last := s.reserve(t, freshOrder())
	if _, err := s.journal.Trim(t.Context(), last.Epoch, last.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.flusher(s.sql).Drain(t.Context(), last.Epoch); err != nil {
		t.Fatal(err)
	}
	s.wantStock(t, 98, 99)
}

// TestStockFlusher_DrainBesideAnother: another flusher applies the entries, and they are trimmed, right after the offset was read. That must
// not be reported as lost commits.
func TestStockFlusher_DrainBesideAnother(t *testing.T) {
	s := openShop(t, openSQLite(t))
	s.reserve(t, freshOrder())
	last := s.reserve(t, freshOrder())
	st := &fakeOvertakenStore{FlushStore: s.sql, then: func() {
		s.flush(t)
		if _, err := s.journal.Trim(t.Context(), last.Epoch, last.ID); err != nil {
			t.Fatal(err)
		}
	}}
	var said bytes.Buffer
	cfg := workers.DefaultFlushConfig()
	f := workers.NewStockFlusher(cfg, s.journal, st, s.snapshots(), s.progress, slog.New(slog.NewTextHandler(&said, nil)))
	if err := f.Drain(t.Context(), last.Epoch); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(said.String(), "lost commits") {
		t.Errorf("it said: %s", said.String())
	}
	s.wantStock(t, 96, 98)
}

// fakeOvertakenStore is a FlushStore that calls a function right after the offset was read once.
type fakeOvertakenStore struct {
	workers.FlushStore

	then func()
}

func (o *fakeOvertakenStore) EpochAt(ctx context.Context, partition uint8, number int64) (journal.Epoch, error) {
	e, err := o.FlushStore.EpochAt(ctx, partition, number)
	if then := o.then; then != nil {
		o.then = nil
		then()
	}
	return e, err
}

// TestStockFlusher_OtherDurability: a flusher that writes no orders must not flush an epoch with durability sql.
func TestStockFlusher_OtherDurability(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		s.reserve(t, freshOrder())
		if err := s.sql.SetDurability(t.Context(), 0, store.DurabilitySQL); err != nil {
			t.Fatal(err)
		}
		if _, err := s.flusher(s.sql).RunOnce(t.Context()); err == nil {
			t.Error("a flusher with durability journal flushed an epoch with durability sql")
		}
		s.wantStock(t, 100, 100)
	})
}

// TestCancellationFinisher_RestockedInAnEarlierEpoch: the units are returned, and only the refund is left. Redis, which has lost the marker
// of the return, must not get them a second time.
func TestCancellationFinisher_RestockedInAnEarlierEpoch(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		o := freshOrder()
		s.reserve(t, o)
		s.settle(t, o)
		f := s.flusher(s.sql, withOrders)
		drained(t, f.RunOnce)
		cancellations := store.NewCancellations(s.db)
		if _, err := cancellations.Cancel(t.Context(), o.ID, []order.State{order.Paid}, order.CancelReason{Text: "r"}, "c1"); err != nil {
			t.Fatal(err)
		}
		epoch, err := s.OpenEpoch()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Restock(t.Context(), epoch, o.ID, o.CustomerID, []order.Delta{{SKU: "A", Units: 2}, {SKU: "B", Units: 1}}, "r"); err != nil {
			t.Fatal(err)
		}
		drained(t, f.RunOnce)
		s.promote(t, nil)
		other := freshOrder()
		s.reserve(t, other) // Loads the counters.
		finisher := workers.NewCancellationFinisher(cancellations, newFakePayments(&fakeCrash{}, o), s.Stock, quiet)
		mustRun(t, finisher.RunOnce, 1)
		s.wantAvailable(t, 98, 99)
		drained(t, f.RunOnce)
		s.wantStock(t, 98, 99)
	})
}

// TestLostOrders_ChargeOfTheNextEpoch: an order without a row, and without a hot order, that was charged while the last charges of the epoch were
// in flight. A process that was cut off may have placed it in the epoch within 15 s after its end; later it is not lost with the epoch.
func TestLostOrders_ChargeOfTheNextEpoch(t *testing.T) {
	for after, lost := range map[time.Duration]int{time.Second: 1, tooLateForTheEpoch: 0} {
		s := openShop(t, openSQLite(t))
		s.nextEpoch(t)
		ledger := store.NewCharges(s.db)
		t.Cleanup(ledger.Close)
		next := freshOrder()
		next.ID = order.NewID(0, time.Now().Add(after))
		charge(t, ledger, next)
		worker := workers.NewLostOrders(workers.LostConfig{After: time.Second}, s.sql, ledger, s.Stock, &stubEpochList{2}, store.NewCancellations(s.db), quiet)
		worker.SetClock(func() time.Time { return time.Now().Add(time.Minute) })
		mustRun(t, worker.RunOnce, lost)
	}
}

// TestStock_WhenAnOrderWithoutARowWasReleased: the units of the order are returned in SQL, and Redis has lost that. The hot order has the time of
// the release: its row is written with that time, by which late charges of cancelled orders are found.
func TestStock_WhenAnOrderWithoutARowWasReleased(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s := openShop(t, db)
		o := freshOrder()
		s.reserve(t, o)
		s.flush(t)
		older := s.copyOf(t)
		s.release(t, o)
		s.flush(t)
		s.promote(t, older)
		rec, err := s.HotOrder(t.Context(), o.ID)
		if err != nil || rec.State != order.Cancelled {
			t.Fatalf("the record is %s (%v); want CANCELLED", rec.State, err)
		}
		if age := time.Since(rec.UpdatedAt); age < 0 || age > eventuallyMax {
			t.Errorf("it was cancelled at %s", rec.UpdatedAt)
		}
	})
}

// TestEpochs_DurabilityNotRecorded: an epoch of an older version does not record the setting. What its journal still holds is flushed all the same.
func TestEpochs_DurabilityNotRecorded(t *testing.T) {
	dsn := realparts.MySQL(t)
	db := openDB(t, dsn)
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := openShop(t, db)
	s.reserve(t, freshOrder())
	raw, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.ExecContext(t.Context(), "UPDATE stock_epochs SET durability = ''"); err != nil {
		t.Fatal(err)
	}
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wantStock(t, 98, 99)
}
