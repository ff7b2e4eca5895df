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
	// Shipment returns the shipment of an order, or order.ErrNotFound.
	Shipment(ctx context.Context, id order.ID) (order.Shipment, error)
}

// OrderReader reads the orders that the caller may see.
type OrderReader interface {
	// Read returns the order, or order.ErrNotFound also for orders of other customers.
	Read(ctx context.Context, id string) (order.Order, error)
}

// Converter converts prices to another currency.
type Converter interface {
	// Convert returns the price in the currency, rounded once. It returns order.ErrInvalid for an unknown
	// currency, and an order.RatesTooOldError if the rates are too old.
	Convert(price order.Money, to order.Currency) (order.Money, error)
}

// Service is the ShippingService. It is safe for concurrent use and does not retry.
type Service struct {
	Carrier   Carrier
	Rates     Converter
	Shipments ShipmentStore
	Orders    OrderReader
}

// GetQuote returns the shipping cost of a parcel, in US dollars if the request names no currency. It returns order.ErrInvalid with the
// field of the request that is wrong, and an order.RatesTooOldError if the exchange rates are too old.
func (s Service) GetQuote(_ context.Context, req *spillwayv1.GetQuoteRequest) (*spillwayv1.GetQuoteResponse, error) {
	items, err := wire.FromDemand(req.GetLines())
	if err != nil {
		return nil, order.InField("lines", err)
	}
	cost, err := s.quote(wire.Destination(req.GetCountryCode(), req.GetAddress()), items, order.Currency(req.GetCurrencyCode()))
	if err != nil {
		return nil, err
	}
	return &spillwayv1.GetQuoteResponse{Cost: wire.Money(cost)}, nil
}

// quote is GetQuote for valid items, without messages.
func (s Service) quote(to order.Address, items []order.Demand, currency order.Currency) (order.Money, error) {
	cost := Cost(to, items)
	if currency == "" {
		return cost, nil
	}
	converted, err := s.Rates.Convert(cost, currency)
	return converted, order.InField("currencyCode", err)
}

// ShipOrder hands a paid order over to the carrier. It is idempotent by order id. Its errors are those of Carrier.Ship, with
// order.ErrUnavailable and order.ErrUnknownOutcome added if the carrier may have the parcel.
func (s Service) ShipOrder(ctx context.Context, req *spillwayv1.ShipOrderRequest) (*spillwayv1.ShipOrderResponse, error) {
	items, err := wire.FromDemand(req.GetLines())
	if err != nil {
		return nil, err
	}
	err = s.Carrier.Ship(ctx, Parcel{
		OrderID: order.ID(req.GetOrderId()), TrackingID: req.GetTrackingId(), To: wire.FromAddress(req.GetAddress()), Items: items,
	})
	if err != nil {
		return nil, shipError(err)
	}
	return &spillwayv1.ShipOrderResponse{TrackingId: req.GetTrackingId()}, nil
}

// shipError adds order.ErrUnknownOutcome to the error of a handover, unless the carrier responded that it did not accept the parcel.
func shipError(err error) error {
	if errors.Is(err, order.ErrRejected) || errors.Is(err, order.ErrInvalid) {
		return err
	}
	return fmt.Errorf("%w: %w: %w", order.ErrUnavailable, order.ErrUnknownOutcome, err)
}

// GetShipment returns the shipment of one of the caller's orders. It returns order.ErrNotFound for orders of other customers, and for orders
// that are not shipped.
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
