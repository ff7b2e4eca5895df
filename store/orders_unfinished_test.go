package store_test

import (
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

func TestOrders_Unfinished(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders, mails := store.NewOrders(db), store.NewMails(db)
		if got, err := orders.Unfinished(t.Context()); err != nil || got != (store.Unfinished{}) {
			t.Errorf("of no orders: %+v, %v", got, err)
		}
		var changes []order.Event
		for i, to := range []order.State{order.Pending, order.Paid, order.Paid, order.Paid, order.Cancelled} {
			changes = append(changes, order.Event{Order: anOrder(string(rune('a' + i))), To: to, At: time.Now()})
		}
		_, err1 := orders.Apply(t.Context(), changes)
		err2 := orders.MarkShipFailed(t.Context(), []order.ID{changes[1].Order.ID})
		_, err3 := orders.Ship(t.Context(), []order.Shipment{{OrderID: changes[2].Order.ID, TrackingID: "T", ShippedAt: time.Now()}})
		err4 := mails.AddDue(t.Context(), changes[2].Order.ID, order.MailConfirmation)
		err5 := store.NewDeadLetters(db).Put(t.Context(), store.DeadLetter{DedupKey: "k"})
		for _, err := range []error{err1, err2, err3, err4, err5} {
			if err != nil {
				t.Fatal(err)
			}
		}
		got, err := orders.Unfinished(t.Context())
		if want := (store.Unfinished{Pending: 1, Paid: 1, ShipFailed: 1, MailsDue: 2, DeadLetters: 1}); err != nil || got != want {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	})
}
