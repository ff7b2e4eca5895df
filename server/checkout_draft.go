package server

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/shipping"
)

// draft is a priced order with the limits of its customer, in units of each SKU.
type draft struct {
	order.Order
	maxUnits map[order.SKU]int
}

// draft prices the request.
func (c *Checkout) draft(ctx context.Context, in checkedRequest) (draft, error) {
	lines, most, err := c.priceLines(ctx, in.demand, in.currency)
	if err != nil {
		return draft{}, err
	}
	quote, err := c.Shipping.Quote(ctx, in.address, in.demand, in.currency)
	if err == nil {
		err = checkQuote(quote, in.currency)
	}
	if err != nil {
		return draft{}, err
	}
	now := c.Now().UTC().Truncate(time.Microsecond)
	id := order.NewID(c.Partition, now)
	o := order.Order{
		ID: id, CustomerID: in.customer, State: order.Pending, Lines: lines, Currency: in.currency, Email: in.email,
		Address: in.address, TrackingID: shipping.NewTrackingID(id), IdempotencyKey: in.key, Fingerprint: in.fingerprint,
		CreatedAt: now, UpdatedAt: now,
	}
	if !in.withCard {
		o.ExpiresAt = now.Add(c.PayWithin)
	}
	err = o.Price(quote.Amount)
	return draft{o, most}, err
}

// priceLines takes a snapshot of names and prices. Each unit price is converted and rounded once, so that a line's total is a
// multiple of its unit price. It also returns the number of units that a customer may order, of each SKU with a limit.
func (c *Checkout) priceLines(ctx context.Context, demand []order.Demand, currency order.Currency) ([]order.Line, map[order.SKU]int, error) {
	skus := make([]order.SKU, len(demand))
	for i, d := range demand {
		skus[i] = d.SKU
	}
	prices, err := c.Prices.Prices(ctx, skus)
	if err != nil {
		return nil, nil, err
	}
	lines := make([]order.Line, len(demand))
	var most map[order.SKU]int // Few products have a limit.
	for i, d := range demand {
		if err := forSale(d.SKU, prices[d.SKU].Archived); err != nil {
			return nil, nil, err
		}
		price, err := c.Rates.Convert(prices[d.SKU].Price, currency)
		if err != nil {
			return nil, nil, inField(fieldCurrencyCode, err)
		}
		if limit := prices[d.SKU].MaxPerCustomer; limit > 0 {
			if most == nil {
				most = make(map[order.SKU]int)
			}
			most[d.SKU] = limit
		}
		lines[i] = order.Line{SKU: d.SKU, Name: prices[d.SKU].Name, Quantity: d.Quantity, UnitPrice: price.Amount}
	}
	return lines, most, nil
}

// checkQuote refuses a shipping quote that cannot be added to an order's items. The error has no class, so that the edge
// logs it and sends `internal`: the shipping service is defective, and a retry does not help.
func checkQuote(shipping order.Money, currency order.Currency) error {
	if shipping.Currency != currency || shipping.Amount < 0 {
		return fmt.Errorf("the shipping service quoted %s for an order in %s", shipping, currency)
	}
	return nil
}
