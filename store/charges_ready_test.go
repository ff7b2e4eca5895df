package store_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// TestCharges_ReadyUnlessACommitStalls: a SQL that does not respond is known before its calls time out.
func TestCharges_ReadyUnlessACommitStalls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	db, err := store.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	ledger := store.NewCharges(db)
	t.Cleanup(ledger.Close)
	other, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	lock, err := other.BeginTx(t.Context(), nil) // The one writer of SQLite.
	if err != nil {
		t.Fatal(err)
	}
	recorded := make(chan error, 1)
	go func() {
		id := order.NewID(0, at)
		_, err := ledger.Record(
			t.Context(),
			order.Charge{OrderID: id, ChargeID: string(id), State: order.ChargeSucceeded, Amount: order.Money{Currency: "EUR", Amount: 1}},
		)
		recorded <- err
	}()
	if err := ledger.Ready(); err != nil {
		t.Errorf("a commit that has just begun: %v", err)
	}
	for deadline := time.Now().Add(time.Minute); ledger.Ready() == nil; <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the ledger is ready, although nothing is committed")
		}
	}
	var retry *order.RetryError
	if err := ledger.Ready(); !errors.Is(err, order.ErrUnavailable) || !errors.As(err, &retry) {
		t.Errorf("got %v; want unavailable with a retry hint", err)
	}
	if err := lock.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-recorded; err != nil {
		t.Error(err)
	}
	if err := ledger.Ready(); err != nil {
		t.Errorf("after the commit: %v", err)
	}
}

// TestCharges_ReadyUnlessTheBreakerIsOpen.
func TestCharges_ReadyUnlessTheBreakerIsOpen(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		policy := breaker.NewPolicy("sql", breaker.Config{Timeout: time.Second, Failures: 1, Window: 1, Delay: time.Minute})
		db.Guard(policy)
		ledger := store.NewCharges(db)
		t.Cleanup(ledger.Close)
		if err := ledger.Ready(); err != nil {
			t.Error(err)
		}
		policy.Report(order.ErrUnavailable)
		if err := ledger.Ready(); !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("with an open breaker: %v", err)
		}
	})
}
