package store_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// TestOrders_ForMailsReadsAsByIDs: orders in every state, with texts of every alphabet, are those that ent reads, without the fields that no mail shows.
func TestOrders_ForMailsReadsAsByIDs(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		ids := []order.ID{order.NewID(0, at)} // One without a row.
		for i, state := range []order.State{order.Pending, order.Paid, order.Cancelled, order.Shipped, order.ShipFailed} {
			o := anOrder(state.String())
			o.Address.Name, o.Address.CountryCode, o.TrackingID = "Ünal 山田 🙂 '\\\"", []string{"DE", "FR"}[i%2], ""
			o.CustomerID = order.CustomerID("c" + state.String())
			if i == 1 {
				o.Lines = append(o.Lines, order.Line{SKU: "C", Name: "Ć", Quantity: 1000, UnitPrice: 1 << 40})
			}
			if err := o.Price(499); err != nil {
				t.Fatal(err)
			}
			mustApply(t, orders, change(o, order.Pending))
			if state != order.Pending {
				db.RawSQL(t, "UPDATE orders SET state = ?, tracking_id = ? WHERE id = ?", state, "T "+state.String(), o.ID)
			}
			db.RawSQL(t, "UPDATE orders SET cancel_reason = 'r', expires_at = ? WHERE id = ?", at, o.ID)
			ids = append(ids, o.ID, o.ID)
		}
		want, err := orders.ByIDs(t.Context(), ids)
		if err != nil || len(want) != 5 {
			t.Fatal(len(want), err)
		}
		for id, o := range want {
			o.IdempotencyKey, o.Fingerprint, o.CancelReason, o.ExpiresAt = "", nil, order.CancelReason{}, time.Time{}
			want[id] = o
		}
		got, err := orders.ForMails(t.Context(), ids)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v:\n%+v; want\n%+v", err, got, want)
		}
		if none, err := orders.ForMails(t.Context(), nil); err != nil || len(none) != 0 {
			t.Error(none, err)
		}
	})
}
