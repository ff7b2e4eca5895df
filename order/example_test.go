package order_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
)

func ExampleNewID() {
	id := order.NewID(3, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
	fmt.Println(len(id), id.Partition(), id.Time().Format(time.RFC3339))
	// Output: 26 3 2026-11-24T12:00:00Z
}

func ExampleState_CanBecome() {
	fmt.Println(order.Pending.CanBecome(order.Paid), order.Cancelled.CanBecome(order.Shipped))
	// Output: true false
}

func ExampleFromUnitsNanos() {
	price, err := order.FromUnitsNanos("EUR", 12, 990_000_000)
	fmt.Println(price, int64(price.Amount), err)
	_, err = order.FromUnitsNanos("JPY", 12, 990_000_000)
	fmt.Println(errors.Is(err, order.ErrInvalid))
	// Output:
	// 12.99 EUR 1299 <nil>
	// true
}

func ExampleOrder_Price() {
	o := order.Order{Currency: "EUR", Lines: []order.Line{{SKU: "MUG", Quantity: 2, UnitPrice: 1299}}}
	err := o.Price(499)
	fmt.Println(order.Money{Currency: o.Currency, Amount: o.Total}, err)
	// Output: 30.97 EUR <nil>
}

func ExampleSumDemand() {
	demand, err := order.SumDemand([]order.Demand{{SKU: "PEN", Quantity: 1}, {SKU: "MUG", Quantity: 2}, {SKU: "PEN", Quantity: 3}})
	fmt.Println(demand, err)
	// Output: [{MUG 2} {PEN 4}] <nil>
}
