package currency_test

import (
	"fmt"

	"github.com/spillway/spillway/currency"
	"github.com/spillway/spillway/order"
)

func ExampleTable_Convert() {
	rates, err := currency.Load()
	if err != nil {
		fmt.Println(err)
		return
	}
	price, err := rates.Convert(order.Money{Currency: "EUR", Amount: 1999}, "EUR")
	fmt.Println(price, err)
	// Output: 19.99 EUR <nil>
}
