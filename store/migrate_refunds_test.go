package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// TestMigrator_RefundConfirmation: refunds that were made before count as confirmed, and tombstones are rechecked once more.
func TestMigrator_RefundConfirmation(t *testing.T) {
	for name, dsn := range map[string]string{"mysql": realparts.MySQL(t), "sqlite": "sqlite:" + filepath.Join(t.TempDir(), "m.db")} {
		t.Run(name, func(t *testing.T) {
			db := openDB(t, dsn)
			m := store.NewMigrator(db)
			if err := m.UpBefore(t.Context(), "refund_confirmation"); err != nil {
				t.Fatal(err)
			}
			refunded, voided := order.NewID(0, at), order.NewID(0, at)
			const line = "INSERT INTO charges (order_id, charge_id, state, amount, currency, decline_code, created_at, updated_at) VALUES (?,?,?,5,'EUR','',?,?)"
			db.RawSQL(t, line, refunded, refunded, order.ChargeRefunded, at, at)
			db.RawSQL(t, line, voided, voided, order.ChargeVoided, at, at.Add(time.Hour))
			db.RawSQL(t, "INSERT INTO refunds (refund_id, order_id, amount, currency, reason, created_at) VALUES ('r', ?, 5, 'EUR', 'why', ?)", refunded, at)
			if _, err := m.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			ledger := openLedger(t, db)
			refund, err := ledger.GetRefund(t.Context(), "r")
			if err != nil || !refund.ConfirmedAt.Equal(at) || !refund.CreatedAt.Equal(at) {
				t.Errorf("the refund is %+v (%v), want it confirmed when it was made", refund, err)
			}
			due, err := store.NewOrders(db).DueRechecks(t.Context(), at.Add(2*time.Hour), 10)
			if err != nil || len(due) != 1 || due[0].OrderID != voided || !due[0].VoidedAt.Equal(at.Add(time.Hour)) {
				t.Errorf("due are %+v (%v), want the voided charge", due, err)
			}
			// An order may have several refunds now.
			db.RawSQL(
				t,
				"INSERT INTO refunds (refund_id, order_id, amount, currency, reason, created_at, next_try_at) VALUES ('r2', ?, 5, 'EUR', 'why', ?, ?)",
				refunded,
				at,
				at,
			)
		})
	}
}
