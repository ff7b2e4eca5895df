package store_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// flushing is a shop with 10 of A and an open epoch.
func flushing(t *testing.T, db *store.DB) *store.Stock {
	t.Helper()
	price := order.Money{Currency: "USD", Amount: 100}
	if n, err := store.NewProducts(db).Seed(t.Context(), []store.Product{{SKU: "A", Name: "a", Price: price, Stock: 10}}); n != 1 || err != nil {
		t.Fatalf("seed: %d, %v", n, err)
	}
	st := store.NewStock(db)
	if _, err := st.NextEpoch(t.Context(), journal.Offset{}, journal.Epoch{Instance: "run1"}); err != nil {
		t.Fatal(err)
	}
	return st
}

func aRange(prev, last string, delta int64) store.Range {
	return store.Range{Epoch: 1, PrevID: prev, FirstID: last, LastID: last, Entries: 1, Deltas: map[order.SKU]int64{"A": delta}}
}

func wantStock(t *testing.T, st *store.Stock, want int64) {
	t.Helper()
	_, units, err := st.Snapshot(t.Context(), 0, []order.SKU{"A", "nope"})
	if err != nil || !maps.Equal(units, map[order.SKU]int64{"A": want}) {
		t.Errorf("stock = %v, %v; want %d of A", units, err, want)
	}
}

// TestFlushRange_ManySKUs flushes a batch with more SKUs than one statement changes: each of them changes once, in whichever statement it is.
func TestFlushRange_ManySKUs(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st, r := store.NewStock(db), aRange("0-0", "1-0", -1)
		clear(r.Deltas)
		products := make([]store.Product, 1_100)
		for i := range products {
			sku := order.SKU(fmt.Sprintf("SKU%05d", i))
			products[i] = store.Product{SKU: sku, Name: "n", Price: order.Money{Currency: "USD", Amount: 100}, Stock: 10}
			r.Deltas[sku] = -1
		}
		if _, err := store.NewProducts(db).Seed(t.Context(), products); err != nil {
			t.Fatal(err)
		}
		if _, err := st.NextEpoch(t.Context(), journal.Offset{}, journal.Epoch{Instance: "run1"}); err != nil {
			t.Fatal(err)
		}
		if _, err := st.FlushRange(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		_, units, err := st.Snapshot(t.Context(), 0, slices.Collect(maps.Keys(r.Deltas)))
		if err != nil || len(units) != len(products) {
			t.Fatalf("stock of %d SKUs, %v; want %d", len(units), err, len(products))
		}
		for sku, n := range units {
			if n != 9 {
				t.Errorf("stock of %s: %d; want 9", sku, n)
			}
		}
	})
}

func TestFlushRange_AppliedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st := flushing(t, db)
		var wg sync.WaitGroup
		var mu sync.Mutex
		var won, lost int
		for range 4 {
			wg.Go(func() {
				_, err := st.FlushRange(t.Context(), aRange("0-0", "1-0", -3))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
				case errors.Is(err, store.ErrFlushConflict):
					lost++
				default:
					t.Errorf("flush: %v", err)
				}
			})
		}
		wg.Wait()
		if won != 1 || lost != 3 {
			t.Errorf("%d won and %d lost; want 1 and 3", won, lost)
		}
		wantStock(t, st, 7)
	})
}

func TestFlushRange_ClosedEpoch(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st := flushing(t, db)
		if _, err := st.NextEpoch(t.Context(), journal.Offset{Epoch: 1, ID: journal.StartID}, journal.Epoch{Instance: "run2"}); err != nil {
			t.Fatal(err)
		}
		if _, err := st.FlushRange(t.Context(), aRange("0-0", "1-0", -3)); !errors.Is(err, store.ErrFlushConflict) {
			t.Errorf("flush of a closed epoch: %v; want ErrFlushConflict", err)
		}
		if _, err := st.NextEpoch(t.Context(), journal.Offset{Epoch: 1, ID: journal.StartID}, journal.Epoch{Instance: "run3"}); !errors.Is(
			err,
			journal.ErrEpochConflict,
		) {
			t.Errorf("closing an epoch twice: %v; want journal.ErrEpochConflict", err)
		}
		wantStock(t, st, 10)
	})
}

// TestStock_NextEpochAfterACommit: a flusher commits a batch after the caller read SQL's offset. The next epoch would not record whether Redis
// still had that batch.
func TestStock_NextEpochAfterACommit(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st := flushing(t, db)
		if _, err := st.FlushRange(t.Context(), aRange("0-0", "1-0", -3)); err != nil {
			t.Fatal(err)
		}
		next := journal.Epoch{Instance: "run2"}
		if _, err := st.NextEpoch(t.Context(), journal.Offset{Epoch: 1, ID: journal.StartID}, next); !errors.Is(err, journal.ErrEpochConflict) {
			t.Errorf("with the offset before the commit: %v; want journal.ErrEpochConflict", err)
		}
		if e, err := st.NextEpoch(t.Context(), journal.Offset{Epoch: 1, ID: "1-0"}, next); err != nil || e.Number != 2 {
			t.Errorf("with the offset after it: epoch %d (%v); want 2", e.Number, err)
		}
	})
}

func TestFlushRange_StockIsNeverNegative(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st := flushing(t, db)
		if _, err := st.FlushRange(t.Context(), aRange("0-0", "1-0", -11)); !store.IsRowError(err) {
			t.Errorf("taking 11 of 10: %v; want a row error", err)
		}
		unknown := aRange("0-0", "1-0", -1)
		unknown.Deltas["nope"] = -1
		if _, err := st.FlushRange(t.Context(), unknown); !errors.Is(err, store.ErrUnknownSKU) || !store.IsRowError(err) {
			t.Errorf("an unknown SKU: %v; want ErrUnknownSKU", err)
		}
		wantStock(t, st, 10)
		letter := store.DeadLetter{DedupKey: "x", Source: "test", Reason: "r", Attempts: 1}
		if err := st.SkipEntry(t.Context(), aRange("0-0", "1-0", -11), letter); err != nil {
			t.Fatal(err)
		}
		letters, err := store.NewDeadLetters(db).List(t.Context(), store.DeadLetterFilter{}, 0, 10)
		if err != nil || len(letters) != 1 || letters[0].DedupKey != "x" {
			t.Errorf("letters = %+v, %v", letters, err)
		}
		if e, err := st.OpenEpoch(t.Context(), 0); err != nil || e.LastID != "1-0" {
			t.Errorf("the place is %+v, %v; want 1-0", e, err)
		}
	})
}

func TestPrune_KeepsTheNewest(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		st := flushing(t, db)
		prev := "0-0"
		for i := range 5 {
			next := fmt.Sprintf("%d-0", i+1)
			if _, err := st.FlushRange(t.Context(), aRange(prev, next, -1)); err != nil {
				t.Fatal(err)
			}
			prev = next
		}
		if err := st.PruneDedupLog(t.Context(), 0, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := st.FlushRange(t.Context(), aRange(prev, "6-0", -1)); err != nil {
			t.Errorf("flush after pruning: %v", err)
		}
		wantStock(t, st, 4)
	})
}
