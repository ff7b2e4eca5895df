package shipping

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// Client calls a ShippingService, in this process or behind a URL, under a breaker policy. It is safe for concurrent use and does not retry.
type Client struct {
	Service spillwayv1connect.ShippingServiceClient
	Policy  *breaker.Policy
}

// Quote returns the shipping cost of the items to the address in the currency. It returns order.ErrInvalid for an unknown
// currency or an invalid quantity, and order.ErrUnavailable if the service does not respond. It has no side effects, so a caller may retry.
func (s Client) Quote(ctx context.Context, to order.Address, items []order.Demand, currency order.Currency) (order.Money, error) {
	resp, err := breaker.Call(ctx, s.Policy, func(ctx context.Context) (*spillwayv1.GetQuoteResponse, error) {
		resp, err := s.Service.GetQuote(ctx, &spillwayv1.GetQuoteRequest{
			Address: wire.Address(to), Lines: wire.Demand(items), CurrencyCode: string(currency),
		})
		return resp, wire.FromConnect(err)
	})
	if err != nil {
		return order.Money{}, err
	}
	return wire.FromMoney(resp.GetCost())
}

// Ship hands a paid order over to the carrier. It is idempotent by order id. Ship returns order.ErrUnknownOutcome if the carrier may have the
// parcel, and order.ErrInvalid if the carrier does not have it and never will accept it. After any other error the carrier did not accept
// the parcel this time, and a caller may retry.
func (s Client) Ship(ctx context.Context, o order.Order) error {
	_, err := breaker.Call(ctx, s.Policy, func(ctx context.Context) (*spillwayv1.ShipOrderResponse, error) {
		resp, err := s.Service.ShipOrder(ctx, &spillwayv1.ShipOrderRequest{
			OrderId: string(o.ID), TrackingId: o.TrackingID, Address: wire.Address(o.Address), Lines: wire.Demand(o.Demand()),
		})
		return resp, fromConnect(err)
	})
	if err != nil {
		return breaker.WithOutcome(err)
	}
	return nil
}

// fromConnect is wire.FromConnect, except that it translates `aborted`, the code of a parcel that the carrier did not accept, to
// order.ErrRejected.
func fromConnect(err error) error {
	var ce *connect.Error
	if errors.As(err, &ce) && ce.Code() == connect.CodeAborted {
		return fmt.Errorf("%w: %w", order.ErrRejected, err)
	}
	return wire.FromConnect(err)
}
