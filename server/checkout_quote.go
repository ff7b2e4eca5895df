package server

import (
	"context"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// Quote prices lines or the caller's cart. It reserves nothing.
func (c *Checkout) Quote(ctx context.Context, req *spillwayv1.QuoteRequest) (*spillwayv1.QuoteResponse, error) {
	demand, err := c.demandOf(ctx, req.GetLines())
	if err != nil {
		return nil, err
	}
	o, err := c.draft(ctx, checkedRequest{
		demand: demand, currency: order.Currency(req.GetCurrencyCode()), address: wire.Destination(req.GetCountryCode(), req.GetShippingAddress()),
	})
	if err != nil {
		return nil, err
	}
	m := wire.Order(o.Order)
	return &spillwayv1.QuoteResponse{
		Lines: m.GetLines(), ItemsTotal: m.GetItemsTotal(), ShippingTotal: m.GetShippingTotal(), Total: m.GetTotal(),
	}, nil
}

var errCartEmpty = order.Refuse(order.ErrFailedPrecondition, order.ReasonCartEmpty, "the cart is empty: add items to it, or send lines")

// demandOf returns the lines, or the caller's cart if there are none.
func (c *Checkout) demandOf(ctx context.Context, lines []*spillwayv1.Line) ([]order.Demand, error) {
	if len(lines) > 0 {
		demand, err := wire.FromDemand(lines)
		return demand, inField("lines", err)
	}
	caller, _ := auth.From(ctx)
	demand, err := c.Carts.Contents(ctx, caller.Customer)
	if err == nil && len(demand) == 0 {
		err = errCartEmpty
	}
	return demand, err
}
