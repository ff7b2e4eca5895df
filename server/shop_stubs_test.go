package server

import (
	"context"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

type stubBreaker struct{}

func (stubBreaker) Permit() error          { return nil }
func (stubBreaker) Report(error)           {}
func (stubBreaker) Timeout() time.Duration { return testWait }

// stubDurable is durability journal.
type stubDurable struct{}

func (stubDurable) Wait(context.Context, journal.Offset, order.ID) error { return nil }
func (stubDurable) Ready() error                                         { return nil }

// stubPrices sells everything at 10 EUR.
type stubPrices struct{}

func (stubPrices) Prices(_ context.Context, skus []order.SKU) (map[order.SKU]ProductPrice, error) {
	out := make(map[order.SKU]ProductPrice, len(skus))
	for _, sku := range skus {
		out[sku] = ProductPrice{Name: string(sku), Price: order.Money{Currency: "EUR", Amount: 1000}}
	}
	return out, nil
}

// stubCarts are empty.
type stubCarts struct{}

func (stubCarts) Contents(context.Context, order.CustomerID) ([]order.Demand, error) { return nil, nil }
func (stubCarts) EmptyIf(context.Context, order.CustomerID, []order.Demand) error    { return nil }

// stubQuoter ships for 2 EUR.
type stubQuoter struct{}

func (stubQuoter) Quote(_ context.Context, _ order.Address, _ []order.Demand, currency order.Currency) (order.Money, error) {
	return order.Money{Currency: currency, Amount: 200}, nil
}
