package store_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

const lease = time.Minute

func mustClaim(t *testing.T, orders *store.Orders, lease time.Duration, ids ...order.ID) store.ShipClaims {
	t.Helper()
	c, err := orders.ClaimShipping(t.Context(), ids, lease)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClaimShipping_StatesThatMayBeShipped(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		byState := map[order.State]order.ID{}
		all := []order.ID{order.NewID(0, at)} // one that does not exist
		for _, s := range order.States() {
			o := anOrder(s.String())
			bring(t, orders, o, s)
			byState[s] = o.ID
			all = append(all, o.ID)
		}
		c := mustClaim(t, orders, lease, all...)
		if before, ok := c.Orders[byState[order.Paid]]; !ok || before {
			t.Errorf("the paid order: %v, %v", before, ok)
		}
		if _, ok := c.Orders[byState[order.ShipFailed]]; !ok || len(c.Orders) != 2 {
			t.Errorf("claimed %v; want the paid and the failed one", c.Orders)
		}
		if c := mustClaim(t, orders, lease); len(c.Orders) != 0 {
			t.Errorf("of none, %v were claimed", c.Orders)
		}
	})
}

func TestClaimShipping_ExclusiveForItsLease(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders, o := store.NewOrders(db), anOrder("k")
		bring(t, orders, o, order.Paid)
		first := mustClaim(t, orders, lease, o.ID)
		if again := mustClaim(t, orders, lease, o.ID); len(again.Orders) != 0 {
			t.Errorf("claimed twice within the lease: %v", again.Orders)
		}
		db.RawSQL(t, "UPDATE orders SET ship_claimed_at = ?", first.At.Add(-2*lease))
		second := mustClaim(t, orders, lease, o.ID)
		if before, ok := second.Orders[o.ID]; !ok || !before {
			t.Errorf("after the lease: %v; want a claim that knows of the earlier one", second.Orders)
		}
		// The first claimant comes back late: the claim is the second's.
		if err := orders.ReleaseShippingClaims(t.Context(), []order.ID{o.ID}, first.At); err != nil {
			t.Fatal(err)
		}
		if n := cancelLikeACustomer(t, db, o.ID); n != 0 {
			t.Error("it was cancelled although it is claimed")
		}
		if err := orders.ReleaseShippingClaims(t.Context(), []order.ID{o.ID}, second.At); err != nil {
			t.Fatal(err)
		}
		if n := cancelLikeACustomer(t, db, o.ID); n != 1 {
			t.Error("it could not be cancelled although its claim was released")
		}
	})
}

// cancelLikeACustomer is the statement by which a paid order is cancelled.
func cancelLikeACustomer(t testing.TB, db *store.DB, id order.ID) int64 {
	t.Helper()
	return db.RawSQL(t, "UPDATE orders SET state = ? WHERE id = ? AND state IN (?,?) AND ship_claimed_at IS NULL",
		order.Cancelled, id, order.Paid, order.ShipFailed)
}

// TestCancel_AgainstShipping lets both go for the same orders at once.
func TestCancel_AgainstShipping(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		claimed, cancelled := 0, 0
		for range 40 {
			o := anOrder(string(order.NewID(0, at)))
			bring(t, orders, o, order.Paid)
			var c store.ShipClaims
			var n int64
			var wg sync.WaitGroup
			start := make(chan struct{})
			wg.Go(func() { <-start; c, _ = orders.ClaimShipping(t.Context(), []order.ID{o.ID}, lease) })
			wg.Go(func() { <-start; n = cancelLikeACustomer(t, db, o.ID) })
			close(start)
			wg.Wait()
			if int64(len(c.Orders))+n != 1 {
				t.Fatalf("claimed %v, cancelled %d; want one of them", c.Orders, n)
			}
			claimed += len(c.Orders)
			cancelled += int(n)
		}
		t.Logf("%d were claimed, %d cancelled", claimed, cancelled)
	})
}

func TestMarkShipFailed_KeepsTheClaim(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		byState := map[order.State]order.ID{}
		var all []order.ID
		for _, s := range order.States() {
			o := anOrder(s.String())
			bring(t, orders, o, s)
			byState[s] = o.ID
			all = append(all, o.ID)
		}
		long := at.Add(-time.Hour)
		db.RawSQL(t, "UPDATE orders SET updated_at = ?", long)
		mustClaim(t, orders, lease, byState[order.Paid])
		if err := orders.MarkShipFailed(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		for s, id := range byState {
			o, err := orders.Get(t.Context(), id)
			want, touched := s, s == order.Paid || s == order.ShipFailed
			if touched {
				want = order.ShipFailed
			}
			if err != nil || o.State != want || o.UpdatedAt.Equal(long) == touched {
				t.Errorf("the %s one is %s, touched %s (%v)", s, o.State, o.UpdatedAt, err)
			}
		}
		if n := cancelLikeACustomer(t, db, byState[order.Paid]); n != 0 {
			t.Error("an order of unknown outcome was cancelled")
		}
	})
}

func TestShip_MailIsDue(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders, mails, o := store.NewOrders(db), store.NewMails(db), anOrder("k")
		bring(t, orders, o, order.Shipped)
		again := []order.Shipment{{OrderID: o.ID, TrackingID: "T", ShippedAt: at}}
		if refused, err := orders.Ship(t.Context(), again); err != nil || len(refused) != 0 { // a second time
			t.Fatal(refused, err)
		}
		due, err := mails.LeaseDue(t.Context(), 10, lease)
		if err != nil || len(due) != 1 || due[0].OrderID != o.ID || due[0].Kind != order.MailShipped || due[0].Attempts != 1 || due[0].Refund != (order.Money{}) {
			t.Errorf("due: %+v, %v", due, err)
		}
	})
}

func TestStaleOrders_AreFound(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		old := store.Staleness{Paid: time.Minute, Failed: []store.RetryPause{
			{Age: 2 * time.Minute, Pause: 10 * time.Second}, {Age: time.Hour, Pause: 2 * time.Minute}, {Pause: 10 * time.Minute},
		}}
		names := map[order.ID]string{}
		cases := []struct {
			name         string
			state        order.State
			age, touched time.Duration
		}{
			{"paid, fresh", order.Paid, 30 * time.Second, 30 * time.Second},
			{"paid, old", order.Paid, 2 * time.Hour, 70 * time.Second},
			{"pending, old", order.Pending, time.Hour, time.Hour},
			{"shipped, old", order.Shipped, time.Hour, time.Hour},
			{"cancelled, old", order.Cancelled, time.Hour, time.Hour},
			{"young, not yet", order.ShipFailed, time.Minute, time.Second},
			{"young, due", order.ShipFailed, time.Minute, 15 * time.Second},
			{"older, not yet", order.ShipFailed, 30 * time.Minute, time.Minute},
			{"older, due", order.ShipFailed, 30 * time.Minute, 3 * time.Minute},
			{"oldest, not yet", order.ShipFailed, 3 * time.Hour, 9 * time.Minute},
			{"oldest, due", order.ShipFailed, 3 * time.Hour, 11 * time.Minute},
		}
		ids := make([]order.ID, len(cases))
		for i, c := range cases {
			o := anOrder(c.name)
			bring(t, orders, o, c.state)
			ids[i], names[o.ID] = o.ID, c.name
		}
		now := time.Now().UTC() // Their ages grow while the test runs: that begins when all of them are there.
		for i, c := range cases {
			db.RawSQL(t, "UPDATE orders SET created_at = ?, updated_at = ? WHERE id = ?", now.Add(-c.age), now.Add(-c.touched), ids[i])
		}
		stale := func(limit int) []string {
			found, err := orders.StaleForShipping(t.Context(), old, limit)
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, o := range found {
				if len(o.Lines) != 2 {
					t.Errorf("%s came without its items", names[o.ID])
				}
				out = append(out, names[o.ID])
			}
			return out
		}
		if got, want := stale(10), []string{"paid, old", "oldest, due", "older, due", "young, due"}; !slices.Equal(got, want) {
			t.Errorf("stale are %q; want %q", got, want)
		}
		if got, want := stale(2), []string{"paid, old", "oldest, due"}; !slices.Equal(got, want) {
			t.Errorf("two of them are %q; want %q", got, want)
		}
	})
}
