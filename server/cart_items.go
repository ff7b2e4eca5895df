package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spillway/spillway/cart"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// changed is the cart after a change. A change that was made must not look as if it had failed: the client would make it again. So a cart that
// cannot be completed is returned as it is.
func (c Cart) changed(ctx context.Context, found cart.Cart, currency string) *spillwayv1.Cart {
	m, err := c.message(ctx, found, currency)
	if err != nil {
		return cartMessage(found)
	}
	return m
}

// message is the cart with names, pictures, prices and what is left.
func (c Cart) message(ctx context.Context, found cart.Cart, currency string) (*spillwayv1.Cart, error) {
	m := cartMessage(found)
	if len(found.Items) == 0 {
		return m, nil
	}
	skus := make([]order.SKU, len(found.Items))
	for i, d := range found.Items {
		skus[i] = d.SKU
	}
	products, err := readProducts(ctx, c.Products, skus)
	if err != nil {
		return nil, err
	}
	left, err := c.Available.Available(ctx, skus)
	if err != nil {
		return nil, err
	}
	var sum cartSum
	for i, d := range found.Items {
		p, ok := products[d.SKU]
		if !ok { // It never was a product, or is none any more.
			m.Items[i].Archived = true
			continue
		}
		price, err := c.priceIn(p.Price, currency)
		if err != nil {
			return nil, err
		}
		completeItem(m.Items[i], p, price, left[d.SKU])
		if !p.Archived {
			sum.add(price, d.Quantity)
		}
	}
	m.ItemsTotal = sum.message()
	return m, nil
}

// priceIn converts a price to the currency; none leaves it.
func (c Cart) priceIn(price order.Money, currency string) (order.Money, error) {
	if currency == "" {
		return price, nil
	}
	converted, err := c.Rates.Convert(price, order.Currency(currency))
	return converted, inField(fieldCurrencyCode, err)
}

func completeItem(m *spillwayv1.CartItem, p store.Product, price order.Money, left int64) {
	m.Name, m.Picture, m.Archived, m.Available = p.Name, p.Picture, p.Archived, left
	m.UnitPrice = wire.Money(price)
	m.Total = wire.Money(order.Money{Currency: price.Currency, Amount: price.Amount * order.Cents(m.GetQuantity())})
	m.MaxPerCustomer = int32(p.MaxPerCustomer) //nolint:gosec // At most order.MaxQuantity.
	m.SaleStartTime = wire.Time(p.SaleStartsAt)
}

// cartSum adds prices up, unless they are in several currencies.
type cartSum struct {
	total order.Money
	mixed bool
}

func (s *cartSum) add(price order.Money, quantity int) {
	s.mixed = s.mixed || (s.total.Currency != "" && s.total.Currency != price.Currency)
	s.total.Currency = price.Currency
	s.total.Amount += price.Amount * order.Cents(quantity)
}

func (s *cartSum) message() *spillwayv1.Money {
	if s.mixed || s.total.Currency == "" {
		return nil
	}
	return wire.Money(s.total)
}

func cartMessage(c cart.Cart) *spillwayv1.Cart {
	m := &spillwayv1.Cart{}
	for _, d := range c.Items {
		m.Items = append(m.Items, &spillwayv1.CartItem{Sku: string(d.SKU), Quantity: int32(d.Quantity)}) //nolint:gosec // At most MaxQuantity.
	}
	if !c.Expires.IsZero() {
		m.ExpireTime = timestamppb.New(c.Expires)
	}
	return m
}
