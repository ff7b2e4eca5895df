package store_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// heldKey is a MySQL with a transaction that holds the idempotency key of an order that is not written yet, so that a batch with the order
// waits in its INSERT.
type heldKey struct {
	orders *store.Orders
	db     *store.DB
	raw    *sql.DB
	tx     *sql.Tx
	// owner gets the key if the transaction is committed.
	owner order.ID
}

// trxInterval is the time between two reads of innodb_trx, which MySQL does not refresh within 100 ms of the last one.
const trxInterval = 120 * time.Millisecond

func holdKey(t *testing.T, of order.Order) *heldKey {
	t.Helper()
	dsn := realparts.MySQL(t)
	db := openDB(t, dsn)
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("mysql", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	h := &heldKey{orders: store.NewOrders(db), db: db, raw: raw, owner: order.NewID(0, at)}
	other := anOrder("other")
	other.ID, other.CustomerID = h.owner, of.CustomerID
	mustApply(t, h.orders, change(other, order.Paid))
	if h.tx, err = raw.BeginTx(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.tx.Rollback() })
	if _, err := h.tx.ExecContext(t.Context(), "UPDATE orders SET idempotency_key = ? WHERE id = ?", of.IdempotencyKey, h.owner); err != nil {
		t.Fatal(err)
	}
	return h
}

// apply applies the changes beside the test, and returns when a statement of it with the first order waits for the key.
func (h *heldKey) apply(t *testing.T, changes ...order.Event) (done func() store.Outcome) {
	t.Helper()
	type result struct {
		out store.Outcome
		err error
	}
	ended := make(chan result, 1)
	go func() {
		out, err := h.orders.Apply(t.Context(), changes)
		ended <- result{out, err}
	}()
	for begun := time.Now(); ; <-time.After(trxInterval) {
		var n int
		err := h.raw.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE ?",
			"INSERT INTO orders %"+string(changes[0].Order.ID)+"%").Scan(&n)
		if err != nil || time.Since(begun) > 8*time.Second {
			t.Fatalf("no INSERT waits for the key: %v", err)
		}
		if n > 0 {
			break
		}
	}
	return func() store.Outcome {
		r := <-ended
		if r.err != nil {
			t.Errorf("apply: %v", r.err)
		}
		return r.out
	}
}

// TestApply_DeclaredLostWhileItsBatchWaits: an order is declared lost, and the intent finds no row to cancel, while the order's batch is
// being inserted. The order must not become PAID beside a refund (I9).
func TestApply_DeclaredLostWhileItsBatchWaits(t *testing.T) {
	first, lost := anOrder("k"), anOrder("lost")
	lost.ID = order.NewID(0, at.Add(time.Second)) // Rows are inserted in the order of their ids.
	h := holdKey(t, first)
	done := h.apply(t, change(first, order.Paid), change(lost, order.Paid))
	intents := store.NewCancellations(h.db)
	intent := store.Cancellation{OrderID: lost.ID, Reason: order.CancelledAs(order.CancelLost, ""), Actor: "test"}
	if err := intents.Enqueue(t.Context(), []store.Cancellation{intent}); err != nil {
		t.Fatal(err)
	}
	if cancelled, err := intents.EnsureCancelled(t.Context(), intent); err != nil || !cancelled {
		t.Fatalf("the lost order is cancelled: %v (%v)", cancelled, err)
	}
	if err := h.tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	done()
	wantState(t, h.orders, first.ID, order.Paid)
	wantState(t, h.orders, lost.ID, order.Cancelled)
}

// TestApply_KeyTakenWhileItsBatchWaits: another order gets the key while the batch is being inserted. The order becomes its duplicate, and
// costs its neighbour nothing.
func TestApply_KeyTakenWhileItsBatchWaits(t *testing.T) {
	first, neighbour := anOrder("k"), anOrder("n")
	neighbour.ID = order.NewID(0, at.Add(time.Second))
	h := holdKey(t, first)
	done := h.apply(t, change(first, order.Paid), change(neighbour, order.Paid))
	if err := h.tx.Commit(); err != nil {
		t.Fatal(err)
	}
	out := done()
	if want := (store.Duplicate{ID: first.ID, Of: h.owner}); len(out.Duplicates) != 1 || out.Duplicates[0] != want {
		t.Errorf("duplicates: %v; want %v", out.Duplicates, want)
	}
	wantState(t, h.orders, first.ID, order.Cancelled)
	wantState(t, h.orders, neighbour.ID, order.Paid)
}
