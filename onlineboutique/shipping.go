package onlineboutique

import (
	"context"
	"time"

	"github.com/spillway/spillway/gen/hipstershop"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/shipping"
)

// parcels is the ShippingService.
type parcels struct{ Shop }

// homeCountry is the destination of a parcel without an address: the cart page requests a quote before it knows one.
const homeCountry = "US"

// GetQuote returns the cost of shipping. That of no items is nothing: the front end requests a quote for an empty cart as well.
func (p parcels) GetQuote(ctx context.Context, req *hipstershop.GetQuoteRequest) (*hipstershop.GetQuoteResponse, error) {
	if len(req.GetItems()) == 0 {
		return &hipstershop.GetQuoteResponse{CostUsd: &hipstershop.Money{CurrencyCode: dollars}}, nil
	}
	country := homeCountry
	if name := req.GetAddress().GetCountry(); name != "" {
		var err error
		if country, err = countryCode(name); err != nil {
			return nil, err
		}
	}
	resp, err := call(ctx, p.Shipping.GetQuote, &spillwayv1.GetQuoteRequest{
		CountryCode: country, Lines: linesOf(req.GetItems()), CurrencyCode: dollars,
	})
	if err != nil {
		return nil, err
	}
	return &hipstershop.GetQuoteResponse{CostUsd: moneyMessage(resp.GetCost())}, nil
}

// ShipOrder returns a tracking id and sends no parcel: there is no order that it belongs to.
func (p parcels) ShipOrder(ctx context.Context, req *hipstershop.ShipOrderRequest) (*hipstershop.ShipOrderResponse, error) {
	if _, err := p.GetQuote(ctx, &hipstershop.GetQuoteRequest{Address: req.GetAddress(), Items: req.GetItems()}); err != nil {
		return nil, err
	}
	p.withoutOrder(ctx, "ShippingService/ShipOrder sent no parcel")
	return &hipstershop.ShipOrderResponse{TrackingId: shipping.NewTrackingID(order.NewID(0, p.Now()))}, nil
}

// warningInterval is the time between two warnings about calls without an order, which may be as many as orders.
const warningInterval = time.Minute

// withoutOrder logs a call that belongs to no order of this shop, if the last warning is some time ago.
func (s Shop) withoutOrder(ctx context.Context, what string) {
	if !s.warned.Due(s.Now(), warningInterval) {
		return
	}
	s.Log.WarnContext(ctx, "a call of Online Boutique's interface had no effect, because its order is not placed by CheckoutService/PlaceOrder of this shop: "+
		"set CHECKOUT_SERVICE_ADDR of the front end to this address", "effect", what)
}
