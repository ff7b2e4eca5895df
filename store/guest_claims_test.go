package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// stale is the age of a claim that may be dropped.
const stale = 31 * 24 * time.Hour

// claim makes the guest's orders the customer's.
func claim(t *testing.T, db *store.DB, guest, customer order.CustomerID, when time.Time) error {
	t.Helper()
	return store.NewGuestClaims(db).Claim(t.Context(), store.GuestClaim{Guest: guest, Customer: customer, At: when, Stale: stale})
}

// wantReason checks that the error is an ErrFailedPrecondition with the reason.
func wantReason(t *testing.T, err error, want order.Reason) {
	t.Helper()
	var refused *order.RefusalError
	if !errors.As(err, &refused) || refused.Reason != want || !errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("got %v; want ErrFailedPrecondition with %s", err, want)
	}
}

// ofCustomer is a paid order of the customer, the nth by its time.
func ofCustomer(t *testing.T, db *store.DB, customer order.CustomerID, n int) order.Order {
	t.Helper()
	o := anOrder(fmt.Sprintf("%s %d", customer, n))
	o.CustomerID, o.CreatedAt = customer, at.Add(time.Duration(n)*time.Second)
	o.ID, o.UpdatedAt = order.NewID(0, o.CreatedAt), o.CreatedAt
	mustApply(t, store.NewOrders(db), change(o, order.Paid))
	return o
}

// listed pages through the orders of the customer.
func listed(t *testing.T, db *store.DB, customer order.CustomerID, opt store.ListOptions) (ids []order.ID) {
	t.Helper()
	for {
		page, err := store.NewOrders(db).ListByCustomer(t.Context(), customer, opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page {
			ids = append(ids, o.ID)
		}
		if len(page) < opt.Limit {
			return ids
		}
		opt.Before = ids[len(ids)-1]
	}
}

func TestGuestClaims_OneCustomerGetsTheOrders(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		var all []order.ID
		for i := range 9 { // The orders of three customers alternate in time.
			all = append(all, ofCustomer(t, db, []order.CustomerID{"ada", "guest_1", "guest_2"}[i%3], i).ID)
		}
		others := ofCustomer(t, db, "guest_3", 4)
		for _, guest := range []order.CustomerID{"guest_1", "guest_1", "guest_2", "guest_without_orders"} {
			if err := claim(t, db, guest, "ada", at); err != nil {
				t.Fatal(err)
			}
		}
		wantReason(t, claim(t, db, "guest_1", "eve", at), order.ReasonGuestClaimed)

		slices.Reverse(all)
		for _, limit := range []int{1, 2, 4, 100} {
			if got := listed(t, db, "ada", store.ListOptions{Limit: limit}); !slices.Equal(got, all) {
				t.Errorf("in pages of %d: %v; want %v", limit, got, all)
			}
		}
		since := store.ListOptions{Limit: 2, From: at.Add(3 * time.Second), States: []order.State{order.Paid}}
		if got := listed(t, db, "ada", since); !slices.Equal(got, all[:6]) {
			t.Errorf("since then, paid: %v; want %v", got, all[:6])
		}
		for name, c := range map[string]struct {
			opt  store.ListOptions
			want []order.ID
		}{
			"shipped":              {store.ListOptions{States: []order.State{order.Shipped}}, nil},
			"by SKU and address":   {store.ListOptions{SKU: "A", Email: "a@example.com"}, all},
			"by another address":   {store.ListOptions{SKU: "A", Email: "b@example.com"}, nil},
			"by id":                {store.ListOptions{ID: all[3]}, all[3:4]},
			"by id of another one": {store.ListOptions{ID: others.ID}, nil},
		} {
			c.opt.Limit = 2
			if got := listed(t, db, "ada", c.opt); !slices.Equal(got, c.want) {
				t.Errorf("%s: %v; want %v", name, got, c.want)
			}
		}
		if got := listed(t, db, "guest_1", store.ListOptions{Limit: 2}); len(got) != 3 {
			t.Errorf("what the guest placed: %v; want 3", got)
		}
		for guest, want := range map[order.CustomerID]int{"guest_1": 0, "guest_3": 1} {
			if got := listed(t, db, guest, store.ListOptions{Limit: 2, Unclaimed: true}); len(got) != want {
				t.Errorf("%s still has %v; want %d", guest, got, want)
			}
		}
		for id, want := range map[order.ID][2]order.CustomerID{all[0]: {"guest_2", "ada"}, all[8]: {"ada", ""}, others.ID: {"guest_3", ""}} {
			o, err := store.NewOrders(db).Get(t.Context(), id)
			if err != nil || [2]order.CustomerID{o.CustomerID, o.ClaimedBy} != want {
				t.Errorf("order of %s, claimed by %q (%v); want %v", o.CustomerID, o.ClaimedBy, err, want)
			}
		}
		const claimedOne order.CustomerID = "guest_1"
		for guest, want := range map[order.CustomerID]order.CustomerID{claimedOne: "ada", "guest_3": "", claimedOne + " ": "", "GUEST_1": ""} {
			if by, err := store.NewGuestClaims(db).ClaimedBy(t.Context(), guest); err != nil || by != want {
				t.Errorf("%q is claimed by %q (%v); want %q", guest, by, err, want)
			}
		}
	})
}

// TestGuestClaims_OfConcurrentClaimsOneSucceeds: the first to commit has the guest's orders.
func TestGuestClaims_OfConcurrentClaimsOneSucceeds(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		for round := range 5 {
			guest := order.CustomerID(fmt.Sprintf("guest_%d", round))
			var mu sync.Mutex
			var winners []order.CustomerID
			var wg sync.WaitGroup
			for i := range 8 {
				customer := order.CustomerID([]string{"ada", "bob"}[i%2])
				wg.Go(func() {
					err := claim(t, db, guest, customer, at)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						winners = append(winners, customer)
						return
					}
					wantReason(t, err, order.ReasonGuestClaimed)
				})
			}
			wg.Wait()
			by, err := store.NewGuestClaims(db).ClaimedBy(t.Context(), guest)
			if want := slices.Repeat([]order.CustomerID{by}, 4); err != nil || !slices.Equal(winners, want) {
				t.Errorf("%v got the orders, and %q has them (%v); want one of them, each of its 4 calls", winners, by, err)
			}
		}
	})
}

// TestGuestClaims_AtMostSoManyGuests: the bound holds for concurrent claims, and what was claimed in vain long ago makes room.
func TestGuestClaims_AtMostSoManyGuests(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		guest := func(i int) order.CustomerID { return order.CustomerID(fmt.Sprintf("guest_%d", i)) }
		ofCustomer(t, db, guest(0), 0)
		for i := range store.MaxGuestClaims - 1 {
			if err := claim(t, db, guest(i), "ada", at); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		failed := 0
		for i := range 4 {
			wg.Go(func() {
				if err := claim(t, db, guest(1000+i), "ada", at); err != nil {
					wantReason(t, err, order.ReasonTooManyGuests)
					mu.Lock()
					defer mu.Unlock()
					failed++
				}
			})
		}
		wg.Wait()
		if failed != 3 {
			t.Errorf("%d of 4 concurrent claims were refused; want all but the last one that fits", failed)
		}
		if err := claim(t, db, guest(7), "ada", at); err != nil {
			t.Errorf("a repeated claim at the bound: %v", err)
		}
		if err := claim(t, db, guest(2000), "bob", at); err != nil {
			t.Errorf("another customer: %v", err)
		}
		wantReason(t, claim(t, db, guest(2001), "ada", at.Add(stale)), order.ReasonTooManyGuests)
		if err := claim(t, db, guest(2001), "ada", at.Add(stale+time.Second)); err != nil {
			t.Errorf("when the other claims are stale: %v", err)
		}
		claims := store.NewGuestClaims(db)
		for g, want := range map[order.CustomerID]order.CustomerID{guest(0): "ada", guest(7): "", guest(2001): "ada", guest(2000): "bob"} {
			if by, err := claims.ClaimedBy(t.Context(), g); err != nil || by != want {
				t.Errorf("%s is claimed by %q (%v); want %q: one with an order stays", g, by, err, want)
			}
		}
	})
}

// TestGuestClaims_PagesAreFullWhileStatesChange: a page that is shorter than its limit would end the list, though older orders match.
func TestGuestClaims_PagesAreFullWhileStatesChange(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		for i := range 12 {
			ofCustomer(t, db, []order.CustomerID{"ada", "guest_1"}[i%2], i)
		}
		newest := ofCustomer(t, db, "guest_1", 12)
		if err := claim(t, db, "guest_1", "ada", at); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		var wg sync.WaitGroup
		defer wg.Wait()
		defer close(done)
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
					db.RawSQL(t, "UPDATE orders SET state = ? WHERE id = ?", []order.State{order.Shipped, order.Paid}[i%2], newest.ID)
				}
			}
		})
		for range 300 {
			page, err := store.NewOrders(db).ListByCustomer(t.Context(), "ada", store.ListOptions{Limit: 3, States: []order.State{order.Paid}})
			if err != nil || len(page) != 3 {
				t.Fatalf("a page of %d orders (%v); want 3", len(page), err)
			}
		}
	})
}

// TestGuestClaims_ListReadsTheIndex: however many orders others have, a list reads the entries of the customer and of each guest, from the newest on.
func TestGuestClaims_ListReadsTheIndex(t *testing.T) {
	db := openDB(t, realparts.MySQL(t))
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	var changes []order.Event
	customers := []order.CustomerID{"ada", "guest_0", "guest_1", "guest_2"}
	for i := range 600 {
		o := anOrder(fmt.Sprint(i))
		o.CustomerID = append(customers, "eve", "bob")[i%6]
		o.ID = order.NewID(0, at.Add(time.Duration(i)*time.Second))
		changes = append(changes, change(o, order.Paid))
	}
	mustApply(t, store.NewOrders(db), changes...)
	db.RawSQL(t, "ANALYZE TABLE orders")
	plan := store.PlanOfList(t, db, customers, store.ListOptions{Limit: 21, Before: order.FirstID(at.Add(time.Hour))})
	n, worse := strings.Count(plan, "order_customer_id_id"), strings.Contains(plan, "Table scan on orders") || strings.Contains(plan, "Sort: orders")
	if n != len(customers) || worse {
		t.Errorf("%d of %d parts read the index on customer and id:\n%s", n, len(customers), plan)
	}
}
