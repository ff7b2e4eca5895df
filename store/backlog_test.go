package store_test

import (
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

func TestBacklogs_Read(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		ctx, b := t.Context(), store.NewBacklogs(db)
		if got, err := b.Read(ctx); err != nil || got != (store.Backlog{}) {
			t.Errorf("of an empty shop: %+v, %v", got, err)
		}
		began := time.Now().Add(-time.Minute).UTC().Truncate(time.Second)
		var changes []order.Event
		for i, to := range []order.State{order.Pending, order.Paid, order.Paid, order.Paid, order.Paid} {
			changes = append(changes, order.Event{Order: anOrder(string(rune('a' + i))), To: to, At: began.Add(time.Duration(i) * time.Second)})
		}
		orders := store.NewOrders(db)
		_, err1 := orders.Apply(ctx, changes)
		err2 := orders.MarkShipFailed(ctx, []order.ID{changes[4].Order.ID})
		err3 := store.NewMails(db).AddAllDue(ctx, order.MailConfirmation, []order.ID{changes[2].Order.ID, changes[3].Order.ID})
		letters := store.NewDeadLetters(db)
		err4 := letters.Put(ctx, store.DeadLetter{DedupKey: "k1", Source: "mailer"})
		cancellation := store.Cancellation{OrderID: changes[0].Order.ID, Reason: order.CancelledAs(order.CancelLost, ""), Actor: "test"}
		err5 := store.NewCancellations(db).Enqueue(ctx, []store.Cancellation{cancellation})
		for _, err := range []error{err1, err2, err3, err4, err5} {
			if err != nil {
				t.Fatal(err)
			}
		}
		got, err := b.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Pending.Since.Equal(began) || !got.Paid.Since.Equal(began.Add(time.Second)) {
			t.Errorf("pending since %s, paid since %s; want %s and a second later", got.Pending.Since, got.Paid.Since, began)
		}
		for name, w := range map[string]struct {
			got  store.Waiting
			want int64
		}{
			"pending": {got.Pending, 1}, "paid": {got.Paid, 3}, "ship failed": {got.ShipFailed, 1}, "mails": {got.Mails, 2},
			"cancellations": {got.Cancellations, 1}, "dead letters": {got.DeadLetters, 1}, "refunds": {got.Refunds, 0},
		} {
			if age := time.Since(w.got.Since); w.got.Count != w.want || w.want > 0 && (age < 0 || age > time.Hour) || w.want == 0 && !w.got.Since.IsZero() {
				t.Errorf("%s: %+v; want %d", name, w.got, w.want)
			}
		}
	})
}
