package server

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spillway/spillway/gateway"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// ShipmentStore reads shipments.
type ShipmentStore interface {
	Shipment(ctx context.Context, id order.ID) (order.Shipment, error)
}

// Shipping is the ShippingService.
type Shipping struct {
	Carrier   gateway.Carrier
	Rates     Converter
	Shipments ShipmentStore
	Reader    OrderReader
}

// GetQuote prices a parcel.
func (s Shipping) GetQuote(_ context.Context, req *spillwayv1.GetQuoteRequest) (*spillwayv1.GetQuoteResponse, error) {
	items, err := wire.FromDemand(req.GetLines())
	if err != nil {
		return nil, inField("lines", err)
	}
	cost := gateway.ShippingCost(wire.FromAddress(req.GetAddress()), items)
	if code := req.GetCurrencyCode(); code != "" {
		if cost, err = s.Rates.Convert(cost, order.Currency(code)); err != nil {
			return nil, inField(fieldCurrencyCode, err)
		}
	}
	return &spillwayv1.GetQuoteResponse{Cost: wire.Money(cost)}, nil
}

// ShipOrder hands a paid order to the carrier, which knows it by its id.
func (s Shipping) ShipOrder(ctx context.Context, req *spillwayv1.ShipOrderRequest) (*spillwayv1.ShipOrderResponse, error) {
	items, err := wire.FromDemand(req.GetLines())
	if err != nil {
		return nil, err
	}
	err = s.Carrier.Ship(ctx, gateway.Parcel{
		OrderID: order.ID(req.GetOrderId()), TrackingID: req.GetTrackingId(), To: wire.FromAddress(req.GetAddress()), Items: items,
	})
	if err != nil {
		return nil, untaken(err)
	}
	return &spillwayv1.ShipOrderResponse{TrackingId: req.GetTrackingId()}, nil
}

// untaken says of a parcel that was not handed over what is known about it. A carrier that answered has not taken it; where it
// is now after any other failure nobody can say.
func untaken(err error) error {
	if errors.Is(err, order.ErrRejected) || errors.Is(err, order.ErrInvalid) {
		return err
	}
	return fmt.Errorf("%w: %w: %w", order.ErrUnavailable, order.ErrUnknownOutcome, err)
}

// GetShipment returns the shipment of one of the caller's orders.
func (s Shipping) GetShipment(ctx context.Context, req *spillwayv1.GetShipmentRequest) (*spillwayv1.GetShipmentResponse, error) {
	o, err := s.Reader.Read(ctx, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	found, err := s.Shipments.Shipment(ctx, o.ID)
	if err != nil {
		return nil, err
	}
	return &spillwayv1.GetShipmentResponse{Shipment: &spillwayv1.Shipment{
		OrderId: string(found.OrderID), TrackingId: found.TrackingID, ShipTime: timestamppb.New(found.ShippedAt),
	}}, nil
}
