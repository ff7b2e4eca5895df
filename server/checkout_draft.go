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
	// saleStart is when the last of its products begins to be sold.
	saleStart saleStart
}

// saleStart is when orders of the SKU begin to be taken.
type saleStart struct {
	sku order.SKU
	at  time.Time
}

// begun refuses an order of before the start. A quote is given before, so that a page can show the price.
func (s saleStart) begun(now time.Time) error {
	if !now.Before(s.at) {
		return nil
	}
	at := s.at.Format(time.RFC3339Nano)
	return order.Refuse(order.ErrFailedPrecondition, order.ReasonSaleNotStarted, "the sale of product %s begins at %s", s.sku, at).
		With(metaSKU, string(s.sku)).With("saleStartTime", at)
}

// draft prices the request.
func (c *Checkout) draft(ctx context.Context, in checkedRequest) (draft, error) {
	d, err := c.priceLines(ctx, in.demand, in.currency)
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
	d.Order = order.Order{
		ID: id, CustomerID: in.customer, State: order.Pending, Lines: d.Lines, Currency: in.currency, Email: in.email,
		Address: in.address, TrackingID: shipping.NewTrackingID(id), IdempotencyKey: in.key, Fingerprint: in.fingerprint,
		CreatedAt: now, UpdatedAt: now,
	}
	if !in.withCard {
		d.ExpiresAt = now.Add(c.PayWithin)
	}
	err = d.Price(quote.Amount)
	return d, err
}

// priceLines takes a snapshot of names and prices. Each unit price is converted and rounded once, so that a line's total is a
// multiple of its unit price. The draft also has the number of units that a customer may order, of each SKU with a limit, and the sale's start.
func (c *Checkout) priceLines(ctx context.Context, demand []order.Demand, currency order.Currency) (draft, error) {
	skus := make([]order.SKU, len(demand))
	for i, d := range demand {
		skus[i] = d.SKU
	}
	prices, err := c.Prices.Prices(ctx, skus)
	if err != nil {
		return draft{}, err
	}
	var out draft
	out.Lines = make([]order.Line, len(demand))
	for i, d := range demand {
		p := prices[d.SKU]
		if err := forSale(d.SKU, p.Archived); err != nil {
			return draft{}, err
		}
		price, err := c.Rates.Convert(p.Price, currency)
		if err != nil {
			return draft{}, inField(fieldCurrencyCode, err)
		}
		out.limit(d.SKU, p)
		out.Lines[i] = order.Line{SKU: d.SKU, Name: p.Name, Quantity: d.Quantity, UnitPrice: price.Amount}
	}
	return out, nil
}

// limit takes over what restricts the orders of a product.
func (d *draft) limit(sku order.SKU, p ProductPrice) {
	if p.SaleStartsAt.After(d.saleStart.at) {
		d.saleStart = saleStart{sku, p.SaleStartsAt}
	}
	if p.MaxPerCustomer <= 0 {
		return
	}
	if d.maxUnits == nil { // Few products have a limit.
		d.maxUnits = make(map[order.SKU]int)
	}
	d.maxUnits[sku] = p.MaxPerCustomer
}

// checkQuote refuses a shipping quote that cannot be added to an order's items. The error has no class, so that the edge
// logs it and sends `internal`: the shipping service is defective, and a retry does not help.
func checkQuote(shipping order.Money, currency order.Currency) error {
	if shipping.Currency != currency || shipping.Amount < 0 {
		return fmt.Errorf("the shipping service quoted %s for an order in %s", shipping, currency)
	}
	return nil
}
