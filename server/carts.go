package server

import (
	"context"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/cart"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// CartStore reads and changes carts.
type CartStore interface {
	Get(ctx context.Context, customer order.CustomerID) (cart.Cart, error)
	Add(ctx context.Context, customer order.CustomerID, d order.Demand) (cart.Cart, error)
	Set(ctx context.Context, customer order.CustomerID, d order.Demand) (cart.Cart, error)
	Empty(ctx context.Context, customer order.CustomerID) error
	// EmptyIf empties the cart if it contains exactly these items.
	EmptyIf(ctx context.Context, customer order.CustomerID, items []order.Demand) error
}

// Cart is the CartService.
type Cart struct {
	Carts     CartStore
	Products  ProductCache
	Available Availability
	Rates     Converter
	// Guests and Tokens merge the carts of guests; without them, MergeGuestCart is not served.
	Guests GuestCarts
	Tokens *auth.Tokens
}

func customer(ctx context.Context) order.CustomerID {
	c, _ := auth.From(ctx) // authenticate refuses calls without one.
	return c.Customer
}

// sold returns an error when the product does not exist, is no longer sold, or has no price in the currency.
func (c Cart) sold(ctx context.Context, sku order.SKU, currency string) error {
	p, err := c.Products.Get(ctx, sku)
	if err != nil {
		return err
	}
	if err := forSale(sku, p.Archived); err != nil {
		return err
	}
	_, err = c.priceIn(p.Price, currency)
	return err
}

// AddItem adds units of a product that is sold.
func (c Cart) AddItem(ctx context.Context, req *spillwayv1.AddItemRequest) (*spillwayv1.AddItemResponse, error) {
	sku := order.SKU(req.GetSku())
	if err := c.sold(ctx, sku, req.GetCurrencyCode()); err != nil {
		return nil, err
	}
	changed, err := c.Carts.Add(ctx, customer(ctx), order.Demand{SKU: sku, Quantity: int(req.GetQuantity())})
	if err != nil {
		return nil, err
	}
	return &spillwayv1.AddItemResponse{Cart: c.changed(ctx, changed, req.GetCurrencyCode())}, nil
}

// SetQuantity sets the units of a product; 0 takes it out, also one that no longer exists.
func (c Cart) SetQuantity(ctx context.Context, req *spillwayv1.SetQuantityRequest) (*spillwayv1.SetQuantityResponse, error) {
	sku := order.SKU(req.GetSku())
	if req.GetQuantity() > 0 {
		if err := c.sold(ctx, sku, req.GetCurrencyCode()); err != nil {
			return nil, err
		}
	}
	changed, err := c.Carts.Set(ctx, customer(ctx), order.Demand{SKU: sku, Quantity: int(req.GetQuantity())})
	if err != nil {
		return nil, err
	}
	return &spillwayv1.SetQuantityResponse{Cart: c.changed(ctx, changed, req.GetCurrencyCode())}, nil
}

// GetCart returns the cart.
func (c Cart) GetCart(ctx context.Context, req *spillwayv1.GetCartRequest) (*spillwayv1.GetCartResponse, error) {
	found, err := c.Carts.Get(ctx, customer(ctx))
	if err != nil {
		return nil, err
	}
	m, err := c.message(ctx, found, req.GetCurrencyCode())
	return &spillwayv1.GetCartResponse{Cart: m}, err
}

// EmptyCart takes everything out, if the cart holds what the request expects.
func (c Cart) EmptyCart(ctx context.Context, req *spillwayv1.EmptyCartRequest) (*spillwayv1.EmptyCartResponse, error) {
	if len(req.GetOnlyLines()) > 0 {
		items, err := wire.FromDemand(req.GetOnlyLines())
		if err != nil {
			return nil, inField("onlyLines", err)
		}
		return &spillwayv1.EmptyCartResponse{}, c.Carts.EmptyIf(ctx, customer(ctx), items)
	}
	return &spillwayv1.EmptyCartResponse{}, c.Carts.Empty(ctx, customer(ctx))
}
