package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// TestListByCustomer_Filters: the bounds of the ids must not decide what the column would decide otherwise.
func TestListByCustomer_Filters(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		var placed []order.Order // a few within one millisecond, and some around it
		for i, after := range []time.Duration{-time.Hour, 0, time.Microsecond, 2 * time.Microsecond, time.Millisecond, time.Hour} {
			o := anOrder(string(rune('a' + i)))
			o.CreatedAt = at.Add(after)
			o.ID = order.NewID(0, o.CreatedAt)
			o.UpdatedAt = o.CreatedAt
			placed = append(placed, o)
			mustApply(t, orders, change(o, order.Pending))
			if i%2 == 1 {
				mustApply(t, orders, change(o, order.Paid))
			}
		}
		theirs := anOrder("z")
		theirs.CustomerID = "c2"
		mustApply(t, orders, change(theirs, order.Paid))
		for name, c := range map[string]struct {
			opt  store.ListOptions
			want []int // of placed
		}{
			"all":                       {store.ListOptions{}, []int{0, 1, 2, 3, 4, 5}},
			"from the microsecond":      {store.ListOptions{From: placed[2].CreatedAt}, []int{2, 3, 4, 5}},
			"from just after it":        {store.ListOptions{From: placed[2].CreatedAt.Add(time.Nanosecond)}, []int{3, 4, 5}},
			"to the microsecond":        {store.ListOptions{To: placed[2].CreatedAt}, []int{0, 1}},
			"to just after it":          {store.ListOptions{To: placed[2].CreatedAt.Add(time.Nanosecond)}, []int{0, 1, 2}},
			"to a whole millisecond":    {store.ListOptions{To: at.Truncate(time.Millisecond)}, []int{0}},
			"from a whole millisecond":  {store.ListOptions{From: at.Truncate(time.Millisecond)}, []int{1, 2, 3, 4, 5}},
			"between":                   {store.ListOptions{From: placed[1].CreatedAt, To: placed[4].CreatedAt}, []int{1, 2, 3}},
			"nothing between":           {store.ListOptions{From: placed[4].CreatedAt, To: placed[1].CreatedAt}, nil},
			"paid":                      {store.ListOptions{States: []order.State{order.Paid}}, []int{1, 3, 5}},
			"paid or pending, from, to": {store.ListOptions{States: []order.State{order.Paid, order.Pending}, From: at, To: at.Add(time.Minute)}, []int{1, 2, 3, 4}},
			"shipped":                   {store.ListOptions{States: []order.State{order.Shipped}}, nil},
			"as far as time goes":       {store.ListOptions{From: time.Unix(0, 0), To: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}, []int{0, 1, 2, 3, 4, 5}},
		} {
			var want, got []order.ID
			for _, i := range c.want {
				want = append(want, placed[i].ID)
			}
			slices.Sort(want)
			slices.Reverse(want)
			c.opt.Limit = 4 // so that there are pages
			for {
				page, err := orders.ListByCustomer(t.Context(), "c1", c.opt)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for _, o := range page {
					got = append(got, o.ID)
				}
				if len(page) < c.opt.Limit {
					break
				}
				c.opt.Before = page[len(page)-1].ID
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: listed %v; want %v", name, got, want)
			}
		}
	})
}

func TestListByCustomer_AllCustomers(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		var want []order.ID
		for i, customer := range []order.CustomerID{"c1", "c2", "c3"} {
			o := anOrder(string(rune('a' + i)))
			o.CustomerID = customer
			mustApply(t, orders, change(o, order.Paid))
			want = append(want, o.ID)
		}
		slices.Sort(want)
		slices.Reverse(want)
		got, err := orders.ListByCustomer(t.Context(), "", store.ListOptions{AllCustomers: true, Limit: 10})
		var ids []order.ID
		for _, o := range got {
			ids = append(ids, o.ID)
		}
		if err != nil || !slices.Equal(ids, want) {
			t.Errorf("all customers: %v, %v; want %v", ids, err, want)
		}
		if got, err := orders.ListByCustomer(t.Context(), "", store.ListOptions{Limit: 10}); err != nil || len(got) > 0 {
			t.Errorf("a customer without a name: %d orders, %v; want none", len(got), err)
		}
	})
}

func TestListByCustomer_Search(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		var placed []order.Order
		for i, email := range []string{"ann@example.com", "Bob@Example.com", "ann@example.com", "%@example.com"} {
			o := anOrder(string(rune('a' + i)))
			o.CustomerID, o.Email = order.CustomerID("c"+string(rune('1'+i))), email
			o.Lines = []order.Line{{SKU: "A", Name: "a", Quantity: 1, UnitPrice: o.ItemsTotal}}
			if i > 1 {
				o.Lines[0].SKU = "B"
			}
			placed = append(placed, o)
			mustApply(t, orders, change(o, order.Paid))
		}
		for name, c := range map[string]struct {
			opt  store.ListOptions
			want []int // of placed
		}{
			"by id":                     {store.ListOptions{ID: placed[1].ID}, []int{1}},
			"by no id":                  {store.ListOptions{ID: "' OR 1=1 --"}, nil},
			"by address":                {store.ListOptions{Email: "ann@example.com"}, []int{0, 2}},
			"in capitals":               {store.ListOptions{Email: "ANN@EXAMPLE.COM"}, []int{0, 2}},
			"as it was written":         {store.ListOptions{Email: "Bob@Example.com"}, []int{1}},
			"an address, not a pattern": {store.ListOptions{Email: "%@example.com"}, []int{3}},
			"by SKU":                    {store.ListOptions{SKU: "B"}, []int{2, 3}},
			"by SKU and address":        {store.ListOptions{SKU: "B", Email: "ann@example.com"}, []int{2}},
			"by SKU and another state":  {store.ListOptions{SKU: "B", States: []order.State{order.Shipped}}, nil},
		} {
			var want, got []order.ID
			for _, i := range c.want {
				want = append(want, placed[i].ID)
			}
			slices.Sort(want)
			slices.Reverse(want)
			c.opt.Limit, c.opt.AllCustomers = 10, true
			found, err := orders.ListByCustomer(t.Context(), "", c.opt)
			for _, o := range found {
				got = append(got, o.ID)
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: listed %v, %v; want %v", name, got, err, want)
			}
		}
	})
}

// TestListByCustomer_SpacesAreSignificant: "c1 " is another customer than "c1", also on MySQL, where most collations ignore spaces at the end.
func TestListByCustomer_SpacesAreSignificant(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		orders := store.NewOrders(db)
		victim := anOrder("a")
		mustApply(t, orders, change(victim, order.Pending))
		for _, other := range []order.CustomerID{victim.CustomerID + " ", victim.CustomerID + "\x00", order.CustomerID(strings.ToUpper(string(victim.CustomerID)))} {
			if found, err := orders.ListByCustomer(t.Context(), other, store.ListOptions{Limit: 4}); err != nil || len(found) > 0 {
				t.Errorf("%q lists %d orders of %q, %v", other, len(found), victim.CustomerID, err)
			}
			if _, err := orders.FindByKey(t.Context(), other, victim.IdempotencyKey); !errors.Is(err, order.ErrNotFound) {
				t.Errorf("%q finds an order of %q by its key: %v", other, victim.CustomerID, err)
			}
		}
	})
}
