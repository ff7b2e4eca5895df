package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// opened is a shop with 10 of A and an epoch in Redis.
func opened(t *testing.T, db *store.DB, durability string) (*store.Stock, journal.Epoch) {
	t.Helper()
	price := order.Money{Currency: "USD", Amount: 100}
	if _, err := store.NewProducts(db).Seed(t.Context(), []store.Product{{SKU: "A", Name: "a", Price: price, Stock: 10}}); err != nil {
		t.Fatal(err)
	}
	st := store.NewStock(db)
	if _, err := st.NextEpoch(t.Context(), journal.Offset{}, journal.Epoch{Instance: "run1", Durability: durability}); err != nil {
		t.Fatal(err)
	}
	return st, openEpoch(t, st)
}

func openEpoch(t *testing.T, st *store.Stock) journal.Epoch {
	t.Helper()
	e, err := st.OpenEpoch(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func flushOf(e journal.Epoch, prev, last string) store.Range {
	r := aRange(prev, last, -1)
	r.Epoch, r.Durability = e.Number, e.Durability
	return r
}

// TestOpenSQLEpoch_ChangedMeanwhile: whatever shows that another process works on the epoch keeps it open.
func TestOpenSQLEpoch_ChangedMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st, e := opened(t, db, store.DurabilityJournal)
		conflicts := func(what string, read journal.Epoch) {
			t.Helper()
			if _, err := st.OpenSQLEpoch(t.Context(), read); !errors.Is(err, journal.ErrEpochConflict) {
				t.Errorf("%s: %v; want ErrEpochConflict", what, err)
			}
		}
		if err := st.Seen(t.Context(), 0, e.Number, time.Now()); err != nil {
			t.Fatal(err)
		}
		conflicts("redis was found for the first time", e)
		e = openEpoch(t, st)
		if err := st.Seen(t.Context(), 0, e.Number, time.Now().Add(time.Microsecond)); err != nil {
			t.Fatal(err)
		}
		conflicts("redis was found again", e)
		e = openEpoch(t, st)
		if _, err := st.FlushRange(t.Context(), flushOf(e, e.LastID, "1-0")); err != nil {
			t.Fatal(err)
		}
		conflicts("entries were applied", e)
		e = openEpoch(t, st)
		other := e
		other.Durability = store.DurabilityReplica
		conflicts("another durability", other)
		if _, err := st.NextEpoch(t.Context(), journal.Offset{Epoch: e.Number, ID: e.LastID}, journal.Epoch{Instance: "run2", Durability: e.Durability}); err != nil {
			t.Fatal(err)
		}
		conflicts("another epoch was opened", e)
		if e = openEpoch(t, st); e.Mode != journal.ModeRedis || !e.SeenAt.IsZero() {
			t.Errorf("the open epoch: %+v", e)
		}
	})
}

// TestOpenSQLEpoch_TwoProcesses: one of them opens it, and Redis that is found at the same time prevents it or comes too late.
func TestOpenSQLEpoch_TwoProcesses(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st, e := opened(t, db, store.DurabilitySQL)
		var mu sync.Mutex
		var wg sync.WaitGroup
		won := 0
		for range 4 {
			wg.Go(func() {
				next, err := st.OpenSQLEpoch(t.Context(), e)
				if err != nil && !errors.Is(err, journal.ErrEpochConflict) {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil && next.Number == e.Number+1 && next.Mode == journal.ModeSQL {
					won++
				}
			})
		}
		wg.Wait()
		if open := openEpoch(t, st); won != 1 || open.Number != e.Number+1 || open.Mode != journal.ModeSQL {
			t.Errorf("%d processes opened an epoch in SQL; the open one is %+v", won, open)
		}
		if err := st.Seen(t.Context(), 0, e.Number, time.Now()); err != nil {
			t.Errorf("seen too late: %v", err)
		}
		if closed, err := st.EpochAt(t.Context(), 0, e.Number); err != nil || !closed.SeenAt.IsZero() || !closed.Closed {
			t.Errorf("the closed epoch: %+v, %v", closed, err)
		}
	})
}

// TestOpenSQLEpoch_Undrained: entries of the closed epoch are applied until it is drained, unless they were never acknowledged.
func TestOpenSQLEpoch_Undrained(t *testing.T) {
	for _, durability := range store.Durabilities {
		t.Run(durability, func(t *testing.T) {
			onBoth(t, func(t *testing.T, db *store.DB) {
				st, e := opened(t, db, durability)
				inSQL, err := st.OpenSQLEpoch(t.Context(), e)
				if err != nil {
					t.Fatal(err)
				}
				_, flushed := st.FlushRange(t.Context(), flushOf(e, e.LastID, "1-0"))
				if durability == store.DurabilitySQL {
					if _, err := st.Undrained(t.Context(), 0); !errors.Is(flushed, store.ErrFlushConflict) || !errors.Is(err, journal.ErrNoEpoch) {
						t.Errorf("flushed: %v, undrained: %v", flushed, err)
					}
					return
				}
				undrained, err := st.Undrained(t.Context(), 0)
				if flushed != nil || err != nil || undrained.Number != e.Number || undrained.LastID != "1-0" {
					t.Fatalf("flushed: %v; undrained %+v, %v", flushed, undrained, err)
				}
				wantStock(t, st, 9)
				if _, err := st.FlushRange(t.Context(), flushOf(inSQL, inSQL.LastID, "1-0")); !errors.Is(err, store.ErrFlushConflict) {
					t.Errorf("flush entries of an epoch without a journal: %v", err)
				}
				if lost, err := st.Unreconciled(t.Context(), 0, time.Now().Add(time.Hour)); err != nil || len(lost) > 0 {
					t.Errorf("before it is drained, lost orders are looked for in %+v, %v", lost, err)
				}
				if err := st.Drained(t.Context(), 0, journal.Offset{Epoch: e.Number, ID: e.LastID}); !errors.Is(err, journal.ErrEpochConflict) {
					t.Errorf("drained up to an earlier offset: %v", err)
				}
				if err := st.Drained(t.Context(), 0, journal.Offset{Epoch: e.Number, ID: "1-0"}); err != nil {
					t.Error(err)
				}
				if _, err := st.FlushRange(t.Context(), flushOf(e, "1-0", "2-0")); !errors.Is(err, store.ErrFlushConflict) {
					t.Errorf("flush after it was drained: %v", err)
				}
				if lost, err := st.Unreconciled(t.Context(), 0, time.Now().Add(time.Hour)); err != nil || len(lost) != 1 {
					t.Errorf("after it was drained, lost orders are looked for in %+v, %v", lost, err)
				}
			})
		})
	}
}

// TestFlushRange_AdjustmentMadeInSQLMeanwhile: a frozen Redis takes an adjustment when it runs on, after it was sent again and made in SQL. Its units count
// once, and it is no dead letter; one of other units is.
func TestFlushRange_AdjustmentMadeInSQLMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st, e := opened(t, db, store.DurabilityReplica)
		inSQL, err := st.OpenSQLEpoch(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		adjusted := func(id string, units int64) store.Range {
			r := flushOf(e, e.LastID, "1-0")
			r.Adjustments = []order.Adjustment{{ID: id, SKU: "A", Units: units, Actor: "ada", At: time.Now()}}
			r.Deltas = map[order.SKU]int64{"A": units - 1} // and one is sold
			return r
		}
		if _, err := st.InSQLEpoch(t.Context(), inSQL, func(context.Context, *store.SQLEpochTx) (*store.SQLSteps, error) {
			made := adjusted("twice", 5)
			return &store.SQLSteps{Range: store.Range{Adjustments: made.Adjustments, Deltas: map[order.SKU]int64{"A": 5}}}, nil
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := st.FlushRange(t.Context(), adjusted("twice", 6)); !store.IsRowError(err) {
			t.Errorf("other units: %v; want a row error", err)
		}
		r := adjusted("twice", 5)
		if _, err := st.FlushRange(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		wantStock(t, st, 14)
		if r.Deltas["A"] != 4 || len(r.Adjustments) != 1 {
			t.Errorf("the caller's range was changed: %+v", r)
		}
	})
}

// TestFlushRange_AdjustmentMadeInSQLAtTheSameTime: a batch of SQL has read that an adjustment was not made, and a flusher applies the same one of a Redis
// that runs on. They wait for each other: one makes it, and the other one finds it made.
func TestFlushRange_AdjustmentMadeInSQLAtTheSameTime(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st, e := opened(t, db, store.DurabilityReplica)
		inSQL, err := st.OpenSQLEpoch(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		r := flushOf(e, e.LastID, "1-0")
		r.Adjustments = []order.Adjustment{{ID: "twice", SKU: "A", Units: 5, Actor: "ada", At: time.Now()}}
		r.Deltas = map[order.SKU]int64{"A": 5}
		flushed := make(chan error, 1)
		_, err = st.InSQLEpoch(t.Context(), inSQL, func(ctx context.Context, tx *store.SQLEpochTx) (*store.SQLSteps, error) {
			if made, err := tx.Adjustments(ctx, []string{"twice"}); err != nil || len(made) > 0 {
				t.Errorf("made before: %v, %v", made, err)
			}
			go func() {
				_, err := st.FlushRange(t.Context(), r)
				flushed <- err
			}()
			select {
			case err := <-flushed:
				t.Errorf("the flusher did not wait for the batch: %v", err)
			case <-time.After(300 * time.Millisecond): // It waits for a lock, which has no signal.
			}
			return &store.SQLSteps{Range: store.Range{Adjustments: r.Adjustments, Deltas: r.Deltas, Entries: 1}}, nil
		})
		if err != nil {
			t.Fatalf("the batch: %v", err)
		}
		if err := <-flushed; err != nil {
			t.Errorf("the flusher: %v", err)
		}
		wantStock(t, st, 15)
	})
}

// TestNextEpoch_Reserve: the reserve is the share of the stock in whole units, rounded down, in both databases; with durability sql there is none.
func TestNextEpoch_Reserve(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st, e := opened(t, db, store.DurabilityJournal)
		stocks := []int64{0, 1, 2, 3, 9, 10, 99, 1_000_003}
		skus := make([]order.SKU, len(stocks))
		for i, n := range stocks {
			skus[i] = order.SKU(fmt.Sprint("S", i))
			if err := store.NewProducts(db).Create(t.Context(), store.Product{
				SKU: skus[i], Name: "n", Price: order.Money{Currency: "USD", Amount: 1}, Stock: n,
			}, "test"); err != nil {
				t.Fatal(err)
			}
		}
		check := func(share int64) {
			t.Helper()
			units, err := st.SQLUnits(t.Context(), skus)
			if err != nil {
				t.Fatal(err)
			}
			_, forRedis, err := st.Snapshot(t.Context(), 0, skus)
			for i, sku := range skus {
				if want := (store.Units{Stock: stocks[i], Reserve: stocks[i] * share / 100}); units[sku] != want || forRedis[sku] != want.Stock-want.Reserve {
					t.Errorf("%d %%: %+v, for Redis %d (%v); want %+v", share, units[sku], forRedis[sku], err, want)
				}
			}
		}
		check(0)
		for _, share := range []int{33, 100, 1, 0, 50} {
			next := journal.Epoch{Instance: "run", Durability: e.Durability, ReserveShare: share}
			var err error
			if e, err = st.NextEpoch(t.Context(), journal.Offset{Epoch: e.Number, ID: e.LastID}, next); err != nil {
				t.Fatal(err)
			}
			check(int64(share))
		}
	})
}

// TestSetDurability_ToSQL: what was acknowledged with another durability and is not flushed must not be rewound: the epoch is to be drained, before one is opened
// in SQL.
func TestSetDurability_ToSQL(t *testing.T) {
	for _, before := range store.Durabilities {
		t.Run(before, func(t *testing.T) {
			onBoth(t, func(t *testing.T, db *store.DB) {
				st, e := opened(t, db, before)
				if err := st.SetDurability(t.Context(), 0, store.DurabilitySQL); err != nil {
					t.Fatal(err)
				}
				acknowledged := before != store.DurabilitySQL
				if now := openEpoch(t, st); now.Durability != store.DurabilitySQL || now.Undrained != acknowledged {
					t.Errorf("the open epoch: %+v", now)
				}
				if _, err := st.OpenSQLEpoch(t.Context(), openEpoch(t, st)); errors.Is(err, journal.ErrEpochConflict) != acknowledged {
					t.Errorf("open an epoch in SQL: %v", err)
				}
				if !acknowledged {
					return
				}
				r := flushOf(openEpoch(t, st), e.LastID, "1-0")
				r.Adjustments = []order.Adjustment{{ID: "a", SKU: "A", Units: -1, Actor: "ada", At: time.Now()}}
				if _, err := st.FlushRange(t.Context(), r); err != nil {
					t.Errorf("flush: %v", err)
				}
				if err := st.Drained(t.Context(), 0, journal.Offset{Epoch: e.Number, ID: "1-0"}); err != nil {
					t.Errorf("drained: %v", err)
				}
				if _, err := st.OpenSQLEpoch(t.Context(), openEpoch(t, st)); err != nil {
					t.Errorf("open an epoch in SQL once it is drained: %v", err)
				}
			})
		})
	}
}

// TestNextEpoch_DurabilityChangedMeanwhile: the setting was changed, and changed back, after the process that rebuilds has found nothing to be drained. If the epoch
// were closed like that, there could be two that are to be drained, of which one would be rewound.
func TestNextEpoch_DurabilityChangedMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st, e := opened(t, db, store.DurabilityJournal)
		for _, to := range []string{store.DurabilitySQL, store.DurabilityJournal} {
			if err := st.SetDurability(t.Context(), 0, to); err != nil {
				t.Fatal(err)
			}
		}
		at, next := journal.Offset{Epoch: e.Number, ID: e.LastID}, journal.Epoch{Instance: "run2", Durability: store.DurabilityJournal}
		if _, err := st.NextEpoch(t.Context(), at, next); !errors.Is(err, journal.ErrEpochConflict) {
			t.Errorf("open the next epoch: %v; want ErrEpochConflict", err)
		}
		if err := st.Drained(t.Context(), 0, at); err != nil {
			t.Fatal(err)
		}
		if _, err := st.NextEpoch(t.Context(), at, next); err != nil {
			t.Errorf("open the next epoch once it is drained: %v", err)
		}
	})
}

// TestSetDurability_FromSQL: with sql there is no reserve. So that there is one afterwards, the next epoch is opened soon.
func TestSetDurability_FromSQL(t *testing.T) {
	for _, share := range []int{0, 50} {
		t.Run(fmt.Sprint(share), func(t *testing.T) {
			onBoth(t, func(t *testing.T, db *store.DB) {
				st, e := opened(t, db, store.DurabilitySQL)
				next := journal.Epoch{Instance: "run", Durability: store.DurabilitySQL, ReserveShare: share}
				if _, err := st.NextEpoch(t.Context(), journal.Offset{Epoch: e.Number, ID: e.LastID}, next); err != nil {
					t.Fatal(err)
				}
				for _, to := range []string{store.DurabilitySQL, store.DurabilityJournal} {
					if err := st.SetDurability(t.Context(), 0, to); err != nil {
						t.Fatal(err)
					}
					want := to == store.DurabilityJournal && share > 0
					if now := openEpoch(t, st); now.Durability != to || now.Undrained != want {
						t.Errorf("to %s: %+v; want it to be drained: %v", to, now, want)
					}
				}
			})
		})
	}
}

// TestSetDurability_InSQL: the setting decides what is sold in SQL and whether the closed epoch is drained, so that it stays until Redis is back.
func TestSetDurability_InSQL(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st, e := opened(t, db, store.DurabilityJournal)
		if _, err := st.OpenSQLEpoch(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if err := st.SetDurability(t.Context(), 0, store.DurabilitySQL); !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("set the durability while orders are taken in SQL: %v; want ErrFailedPrecondition", err)
		}
		if got, err := st.Durability(t.Context(), 0); err != nil || got != store.DurabilityJournal {
			t.Errorf("durability %q, %v", got, err)
		}
	})
}
