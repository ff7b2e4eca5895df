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

// Client calls a ShippingService.
type Client struct {
	Service spillwayv1connect.ShippingServiceClient
	Policy  *breaker.Policy
}

// Quote prices a parcel in the currency.
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

// Ship hands a paid order to the carrier, which takes it once. order.ErrUnknownOutcome: the carrier may have it. order.ErrInvalid:
// the carrier does not have it and will not take it. After any other error it was not taken this time.
func (s Client) Ship(ctx context.Context, o order.Order) error {
	_, err := breaker.Call(ctx, s.Policy, func(ctx context.Context) (*spillwayv1.ShipOrderResponse, error) {
		resp, err := s.Service.ShipOrder(ctx, &spillwayv1.ShipOrderRequest{
			OrderId: string(o.ID), TrackingId: o.TrackingID, Address: wire.Address(o.Address), Lines: wire.Demand(o.Demand()),
		})
		return resp, refused(err)
	})
	if err != nil {
		return breaker.WithOutcome(err)
	}
	return nil
}

// refused is FromConnect for a service that answers `aborted` when the carrier said no.
func refused(err error) error {
	var ce *connect.Error
	if errors.As(err, &ce) && ce.Code() == connect.CodeAborted {
		return fmt.Errorf("%w: %w", order.ErrRejected, err)
	}
	return wire.FromConnect(err)
}
