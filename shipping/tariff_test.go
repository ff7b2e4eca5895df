package shipping

import (
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

func TestNewTrackingID_OnePerOrder(t *testing.T) {
	a, b := order.NewID(0, time.Now()), order.NewID(0, time.Now())
	first, again := NewTrackingID(a), NewTrackingID(a)
	if first != again || first == NewTrackingID(b) {
		t.Error("tracking ids must differ between orders and be equal for one order")
	}
}

func TestCost_DestinationsAndUnits(t *testing.T) {
	one := []order.Demand{{SKU: "A", Quantity: 1}}
	for _, c := range []struct {
		country string
		items   []order.Demand
		want    order.Cents
	}{
		{"US", one, 548},  // 4.99 + 0.49
		{"DE", one, 948},  // 8.99 + 0.49
		{"SK", one, 948},  // the last member state of the list
		{"GB", one, 1348}, // 12.99 + 0.49
		{"", one, 1348},
		{"us", one, 1348},
		{"US", []order.Demand{{SKU: "A", Quantity: 2}, {SKU: "B", Quantity: 3}}, 744}, // 4.99 + 5 × 0.49
		{"US", []order.Demand{{SKU: "A", Quantity: 20}}, 1479},                        // 4.99 + 20 × 0.49
		{"US", []order.Demand{{SKU: "A", Quantity: 21}}, 1479},                        // the 21st unit is free
		{"JP", []order.Demand{{SKU: "A", Quantity: order.MaxQuantity}, {SKU: "B", Quantity: order.MaxQuantity}}, 2279},
	} {
		got := Cost(order.Address{CountryCode: c.country}, c.items)
		if got != (order.Money{Currency: "USD", Amount: c.want}) {
			t.Errorf("%v to %q costs %v; want %d cents", c.items, c.country, got, c.want)
		}
	}
}
