package cart

import (
	"context"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// Client reads and empties the carts of a CartService behind a URL, under a breaker policy. It is safe for concurrent use and does not retry.
type Client struct {
	Service spillwayv1connect.CartServiceClient
	Policy  *breaker.Policy
}

// Contents returns the items of the customer's cart.
func (c Client) Contents(ctx context.Context, customer order.CustomerID) ([]order.Demand, error) {
	resp, err := breaker.Call(ctx, c.Policy, func(ctx context.Context) (*spillwayv1.GetCartResponse, error) {
		resp, err := c.Service.GetCart(onBehalf(ctx, customer), &spillwayv1.GetCartRequest{})
		return resp, wire.FromConnect(err)
	})
	if err != nil {
		return nil, err
	}
	items := make([]order.Demand, 0, len(resp.GetCart().GetItems()))
	for _, m := range resp.GetCart().GetItems() {
		items = append(items, order.Demand{SKU: order.SKU(m.GetSku()), Quantity: int(m.GetQuantity())})
	}
	return items, nil
}

// EmptyIf empties the cart if it still contains exactly these items.
func (c Client) EmptyIf(ctx context.Context, customer order.CustomerID, items []order.Demand) error {
	if len(items) == 0 {
		return nil // Without items the service would empty any cart.
	}
	_, err := breaker.Call(ctx, c.Policy, func(ctx context.Context) (*spillwayv1.EmptyCartResponse, error) {
		resp, err := c.Service.EmptyCart(onBehalf(ctx, customer), &spillwayv1.EmptyCartRequest{OnlyLines: wire.Demand(items)})
		return resp, wire.FromConnect(err)
	})
	return err
}

// onBehalf names the customer of a call.
func onBehalf(ctx context.Context, customer order.CustomerID) context.Context {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set(auth.CustomerHeader, string(customer))
	return ctx
}
