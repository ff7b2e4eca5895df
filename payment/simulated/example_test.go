package simulated_test

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/payment/simulated"
)

// The number of a card decides the outcome of its charge. A charge is idempotent by order id.
func ExampleProvider_Charge() {
	provider := simulated.New()
	ctx, amount := context.Background(), order.Money{Currency: "EUR", Amount: 1200}
	good := payment.NewCard("4242 4242 4242 4242", "123", 2099, 12)
	declined := payment.NewCard("4000 0000 0000 9995", "123", 2099, 12)

	for _, c := range []struct {
		id   order.ID
		card payment.Card
	}{{"order-1", good}, {"order-2", declined}, {"order-1", declined}} {
		outcome, err := provider.Charge(ctx, c.id, amount, c.card)
		fmt.Println(c.id, outcome.Succeeded, outcome.DeclineCode, err)
	}
	// Output:
	// order-1 true  <nil>
	// order-2 false insufficient_funds <nil>
	// order-1 true  <nil>
}

// A refund is idempotent by refund id.
func ExampleProvider_Refund() {
	provider := simulated.New()
	ctx, amount := context.Background(), order.Money{Currency: "EUR", Amount: 1200}
	if _, err := provider.Charge(ctx, "order-1", amount, payment.NewCard("4242424242424242", "123", 2099, 12)); err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		if err := provider.Refund(ctx, "order-1", "refund-1", order.Money{Currency: "EUR", Amount: 500}); err != nil {
			fmt.Println(err)
			return
		}
	}
	outcome, _, err := provider.Find(ctx, "order-1")
	fmt.Println(outcome.Returned, outcome.Refunded, err)
	// Output: 500 false <nil>
}
