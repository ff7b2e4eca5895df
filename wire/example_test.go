package wire_test

import (
	"fmt"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

func ExampleMoney() {
	m := wire.Money(order.Money{Currency: "EUR", Amount: 1299})
	back, err := wire.FromMoney(m)
	fmt.Println(m.GetUnits(), m.GetNanos(), back, err)
	// Output: 12 990000000 12.99 EUR <nil>
}
