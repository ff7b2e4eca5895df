package shipping

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// ShipmentStore reads shipments.
type ShipmentStore interface {
	Shipment(ctx context.Context, id order.ID) (order.Shipment, error)
}

// OrderReader reads the orders that the caller may see; others are order.ErrNotFound.
type OrderReader interface {
	Read(ctx context.Context, id string) (order.Order, error)
}

// Converter converts prices to another currency.
type Converter interface {
	Convert(price order.Money, to order.Currency) (order.Money, error)
}

// Service is the ShippingService.
type Service struct {
	Carrier   Carrier
	Rates     Converter
	Shipments ShipmentStore
	Orders    OrderReader
}

// GetQuote prices a parcel.
func (s Service) GetQuote(_ context.Context, req *spillwayv1.GetQuoteRequest) (*spillwayv1.GetQuoteResponse, error) {
	items, err := wire.FromDemand(req.GetLines())
	if err != nil {
		return nil, order.InField("lines", err)
	}
	cost := Cost(wire.FromAddress(req.GetAddress()), items)
	if code := req.GetCurrencyCode(); code != "" {
		if cost, err = s.Rates.Convert(cost, order.Currency(code)); err != nil {
			return nil, order.InField("currencyCode", err)
		}
	}
	return &spillwayv1.GetQuoteResponse{Cost: wire.Money(cost)}, nil
}

// ShipOrder hands a paid order to the carrier, which knows it by its id.
func (s Service) ShipOrder(ctx context.Context, req *spillwayv1.ShipOrderRequest) (*spillwayv1.ShipOrderResponse, error) {
	items, err := wire.FromDemand(req.GetLines())
	if err != nil {
		return nil, err
	}
	err = s.Carrier.Ship(ctx, Parcel{
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
func (s Service) GetShipment(ctx context.Context, req *spillwayv1.GetShipmentRequest) (*spillwayv1.GetShipmentResponse, error) {
	o, err := s.Orders.Read(ctx, req.GetOrderId())
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
