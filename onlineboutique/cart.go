package onlineboutique

import (
	"context"

	"github.com/spillway/spillway/gen/hipstershop"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// carts is the CartService.
type carts struct{ Shop }

// AddItem adds units of a product that is sold.
func (c carts) AddItem(ctx context.Context, req *hipstershop.AddItemRequest) (*hipstershop.Empty, error) {
	ctx, err := as(ctx, req.GetUserId())
	if err != nil {
		return nil, err
	}
	_, err = call(ctx, c.Cart.AddItem, &spillwayv1.AddItemRequest{Sku: req.GetItem().GetProductId(), Quantity: req.GetItem().GetQuantity()})
	return &hipstershop.Empty{}, err
}

// GetCart returns the cart, without products that do not exist any more: the front end reads each of them.
func (c carts) GetCart(ctx context.Context, req *hipstershop.GetCartRequest) (*hipstershop.Cart, error) {
	ctx, err := as(ctx, req.GetUserId())
	if err != nil {
		return nil, err
	}
	resp, err := c.Cart.GetCart(ctx, &spillwayv1.GetCartRequest{})
	if err != nil {
		return nil, err
	}
	out := &hipstershop.Cart{UserId: req.GetUserId()}
	for _, item := range resp.GetCart().GetItems() {
		if item.GetName() != "" {
			out.Items = append(out.Items, &hipstershop.CartItem{ProductId: item.GetSku(), Quantity: item.GetQuantity()})
		}
	}
	return out, nil
}

// EmptyCart takes everything out.
func (c carts) EmptyCart(ctx context.Context, req *hipstershop.EmptyCartRequest) (*hipstershop.Empty, error) {
	ctx, err := as(ctx, req.GetUserId())
	if err != nil {
		return nil, err
	}
	_, err = c.Cart.EmptyCart(ctx, &spillwayv1.EmptyCartRequest{})
	return &hipstershop.Empty{}, err
}
