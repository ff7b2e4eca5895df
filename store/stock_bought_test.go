package store_test

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

// TestStock_Bought: the orders of a customer and of the guests that the customer has claimed, unless they are cancelled.
func TestStock_Bought(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		var ids []order.ID
		for i, customer := range []order.CustomerID{"ada", "guest_1", "ada", "guest_2", "bob", "ada"} {
			ids = append(ids, ofCustomer(t, db, customer, i).ID)
		}
		if err := claim(t, db, "guest_1", "ada", at); err != nil {
			t.Fatal(err)
		}
		for id, state := range map[order.ID]order.State{ids[0]: order.ShipFailed, ids[1]: order.Shipped, ids[2]: order.Pending} {
			db.RawSQL(t, "UPDATE orders SET state = ? WHERE id = ?", state, id)
		}
		second := func(n int) order.ID { return order.FirstID(at.Add(time.Duration(n) * time.Second)) }
		for _, c := range []struct {
			customer     order.CustomerID
			from, before order.ID
			most         int
			want         []order.ID
		}{
			{"ada", second(0), second(9), 100, []order.ID{ids[0], ids[1], ids[2], ids[5]}},
			{"ada", second(1), second(5), 100, []order.ID{ids[1], ids[2]}},
			{"ada", second(0), second(9), 5, []order.ID{ids[2], ids[5]}}, // Of two lines each.
			{"ada", second(0), second(9), 4, []order.ID{ids[5]}},
			{"guest_2", second(0), second(9), 100, []order.ID{ids[3]}},
			{"eve", second(0), second(9), 100, nil},
		} {
			got, err := store.NewStock(db).BoughtLines(t.Context(), c.customer, c.from, c.before, c.most)
			var want []order.Bought
			for _, id := range c.want {
				want = append(want, order.Bought{ID: id, Units: []order.Delta{{SKU: "A", Units: 2}, {SKU: "B", Units: 1}}})
			}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s, at most %d lines: %v (%v); want %v", c.customer, c.most, got, err, want)
			}
		}
		db.RawSQL(t, "UPDATE orders SET state = ? WHERE id = ?", order.Cancelled, ids[5])
		if got, err := store.NewStock(db).Bought(t.Context(), "ada", second(3), second(9)); err != nil || len(got) != 0 {
			t.Errorf("a cancelled order counts: %v (%v)", got, err)
		}
	})
}

// TestStock_BoughtReadsTheIndex: orders wait for it, however many orders others have.
func TestStock_BoughtReadsTheIndex(t *testing.T) {
	db := openDB(t, realparts.MySQL(t))
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	var changes []order.Event
	for i := range 600 {
		o := anOrder(strconv.Itoa(i))
		o.CustomerID = []order.CustomerID{"ada", "guest_1", "eve"}[i%3]
		o.ID = order.NewID(0, at.Add(time.Duration(i)*time.Second))
		changes = append(changes, change(o, order.Paid))
	}
	mustApply(t, store.NewOrders(db), changes...)
	db.RawSQL(t, "ANALYZE TABLE orders, order_items")
	for _, customers := range [][]order.CustomerID{{"ada"}, {"ada", "guest_1"}} {
		plan := store.PlanOfBought(t, db, customers, order.FirstID(at), order.FirstID(at.Add(time.Hour)))
		if !strings.Contains(plan, "order_customer_id_id") || !strings.Contains(plan, "orderitem_order_id_sku") {
			t.Errorf("of %v it does not read the indexes:\n%s", customers, plan)
		}
	}
}
