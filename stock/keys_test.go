package stock_test

import (
	"fmt"
	"testing"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
)

// TestKeys_Names holds each name as processes of earlier versions know it: they share one Redis.
func TestKeys_Names(t *testing.T) {
	k := stock.Keys{Keys: journal.Keys{Namespace: "shop-1", Partition: 200}}
	id, customer := order.ID("01JD0000000000000000000000"), order.CustomerID("guest_a:b")
	unpaid := k.Unpaid()
	for got, want := range map[string]string{
		k.Epoch(): "epoch", k.Journals(): "journals", k.Changes(): "changes", k.Journal(12345): "journal:12345", k.Trimmed(7): "trimmed:7",
		k.Stock(-1): "stock:-1", k.Order(id): "order:" + string(id), k.Idempotency(customer, "k:1"): "key:9:guest_a:b:k:1",
		k.RolledBack(id): "rolledback:" + string(id), k.Rate(customer): "rate:guest_a:b", k.Bought(customer): "bought:guest_a:b", k.Claimed(customer): "claimed:guest_a:b",
		unpaid[0]: "unpaid", unpaid[1]: "unpaid_notes", unpaid[2]: "unpaid_counts", k.Adjusted("x"): "adjusted:x", k.Drops(): "drops",
	} {
		if want = fmt.Sprintf("{%s:p%d}:%s", "shop-1", 200, want); got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
}

func TestKeys_NameIsOneAllocation(t *testing.T) {
	k := stock.Keys{Keys: journal.Keys{Namespace: "spillway"}}
	var name string
	if n := testing.AllocsPerRun(100, func() { name = k.Idempotency("guest_0123456789", "9c7f4b0e") }); n > 1 {
		t.Errorf("%q takes %v allocations", name, n)
	}
}
