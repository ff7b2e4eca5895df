package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// TestMigrator_CancelCode: the reasons of orders that were cancelled before have a code afterwards, and so have those that a process of
// the version before writes later.
func TestMigrator_CancelCode(t *testing.T) {
	for name, dsn := range map[string]string{"mysql": realparts.MySQL(t), "sqlite": "sqlite:" + filepath.Join(t.TempDir(), "m.db")} {
		t.Run(name, func(t *testing.T) {
			db := openDB(t, dsn)
			m := store.NewMigrator(db)
			if err := m.UpBefore(t.Context(), "cancel_code"); err != nil {
				t.Fatal(err)
			}
			before := insertCancelled(t, db)
			if _, err := m.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := db.RawSQL(t, "UPDATE orders SET cancel_reason = '' WHERE cancel_code <> '' OR cancel_reason = 'whatever'"); n != int64(len(before)) {
				t.Errorf("%d of %d rows have their code", n, len(before))
			}
			for id, want := range before { // The columns alone are read now.
				o, err := store.NewOrders(db).Get(t.Context(), id)
				want.Text = ""
				if err != nil || o.CancelReason != want {
					t.Errorf("the reason is %+v (%v), want %+v", o.CancelReason, err, want)
				}
			}
			for id, want := range insertCancelled(t, db) {
				if o, err := store.NewOrders(db).Get(t.Context(), id); err != nil || o.CancelReason != want {
					t.Errorf("the reason is %+v (%v), want %+v", o.CancelReason, err, want)
				}
				s, err := store.NewOrders(db).Standing(t.Context(), id)
				if err != nil || s.Reason != want || s.ReturnReason != want {
					t.Errorf("the standing is %+v (%v), want %+v", s, err, want)
				}
			}
		})
	}
}

// insertCancelled writes rows as the version before did: a CANCELLED order and the return of its units for each text.
func insertCancelled(t *testing.T, db *store.DB) map[order.ID]order.CancelReason {
	t.Helper()
	out := make(map[order.ID]order.CancelReason)
	for _, text := range []string{
		"expired", "payment_unknown", "payment_voided", "lost with its Redis", "charged after it was cancelled", "by the customer",
		"by the customer: changed my mind", "by the shop: out of glue", "card_declined: insufficient_funds",
		"duplicate of " + string(order.NewID(0, at)), "whatever",
	} {
		id := order.NewID(0, at.Add(time.Duration(len(out))*time.Millisecond))
		db.RawSQL(t, "INSERT INTO orders (id, customer_id, state, currency, items_total, shipping_total, total, email, ship_name, ship_street, ship_city, "+
			"ship_region, ship_postal_code, ship_country, tracking_id, fingerprint, cancel_reason, created_at, updated_at) "+
			"VALUES (?,'c',?,'EUR',0,0,0,'','','','','','','','','',?,?,?)", id, order.Cancelled, text, at, at)
		db.RawSQL(t, "INSERT INTO stock_returns (order_id, epoch, entry_id, reason, returned_at) VALUES (?,1,'1-0',?,?)", id, text, at)
		out[id] = order.ParseCancelReason(text)
	}
	return out
}
