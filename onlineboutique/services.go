package onlineboutique

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sync/singleflight"
	"google.golang.org/protobuf/proto"

	"github.com/spillway/spillway/cart"
	"github.com/spillway/spillway/gen/hipstershop/hipstershopconnect"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/throttle"
)

// Shop is the services of Spillway that the adapters call, and what they need beside them.
type Shop struct {
	Catalog  spillwayv1connect.CatalogServiceHandler
	Cart     spillwayv1connect.CartServiceHandler // over Carts
	Currency spillwayv1connect.CurrencyServiceHandler
	Checkout spillwayv1connect.CheckoutServiceHandler
	Order    spillwayv1connect.OrderServiceHandler
	Shipping spillwayv1connect.ShippingServiceHandler
	Carts    CartOrders
	Log      *slog.Logger
	// Now is time.Now.
	Now func() time.Time

	// warned is of the warnings about calls without an order.
	warned *throttle.Interval
}

// CartOrders begins and ends the orders of carts: see cart.Tracked.
type CartOrders interface {
	// BeginOrder begins an attempt, or returns order.ErrRejected while another generation of the cart is being ordered.
	BeginOrder(ctx context.Context, customer order.CustomerID) (cart.Attempt, error)
	EndOrder(ctx context.Context, customer order.CustomerID, attempt cart.Attempt, outcome cart.Outcome) error
}

// PlaceOrderProcedure is the procedure that places orders.
const PlaceOrderProcedure = hipstershopconnect.CheckoutServicePlaceOrderProcedure

// LimitedAs returns for each of the 15 procedures the procedure of Spillway with the limits of its calls.
func LimitedAs() map[string]string {
	return map[string]string{
		hipstershopconnect.CartServiceAddItemProcedure:                       spillwayv1connect.CartServiceAddItemProcedure,
		hipstershopconnect.CartServiceGetCartProcedure:                       spillwayv1connect.CartServiceGetCartProcedure,
		hipstershopconnect.CartServiceEmptyCartProcedure:                     spillwayv1connect.CartServiceEmptyCartProcedure,
		hipstershopconnect.RecommendationServiceListRecommendationsProcedure: spillwayv1connect.CatalogServiceListProductsProcedure,
		hipstershopconnect.ProductCatalogServiceListProductsProcedure:        spillwayv1connect.CatalogServiceListProductsProcedure,
		hipstershopconnect.ProductCatalogServiceGetProductProcedure:          spillwayv1connect.CatalogServiceGetProductProcedure,
		hipstershopconnect.ProductCatalogServiceSearchProductsProcedure:      spillwayv1connect.CatalogServiceSearchProductsProcedure,
		hipstershopconnect.ShippingServiceGetQuoteProcedure:                  spillwayv1connect.ShippingServiceGetQuoteProcedure,
		hipstershopconnect.ShippingServiceShipOrderProcedure:                 spillwayv1connect.ShippingServiceGetQuoteProcedure,
		hipstershopconnect.CurrencyServiceGetSupportedCurrenciesProcedure:    spillwayv1connect.CurrencyServiceGetSupportedCurrenciesProcedure,
		hipstershopconnect.CurrencyServiceConvertProcedure:                   spillwayv1connect.CurrencyServiceConvertProcedure,
		hipstershopconnect.PaymentServiceChargeProcedure:                     spillwayv1connect.CurrencyServiceConvertProcedure,
		hipstershopconnect.EmailServiceSendOrderConfirmationProcedure:        spillwayv1connect.CurrencyServiceConvertProcedure,
		hipstershopconnect.CheckoutServicePlaceOrderProcedure:                spillwayv1connect.CheckoutServicePlaceOrderProcedure,
		hipstershopconnect.AdServiceGetAdsProcedure:                          spillwayv1connect.CatalogServiceGetProductsProcedure,
	}
}

// Services returns the nine services.
func Services(s Shop) []server.CompatibleService {
	s.warned = &throttle.Interval{}
	return []server.CompatibleService{
		service(hipstershopconnect.CartServiceName, hipstershopconnect.NewCartServiceHandler, hipstershopconnect.CartServiceHandler(carts{s})),
		service(hipstershopconnect.RecommendationServiceName, hipstershopconnect.NewRecommendationServiceHandler,
			hipstershopconnect.RecommendationServiceHandler(recommendations{s})),
		service(hipstershopconnect.ProductCatalogServiceName, hipstershopconnect.NewProductCatalogServiceHandler,
			hipstershopconnect.ProductCatalogServiceHandler(products{s})),
		service(hipstershopconnect.ShippingServiceName, hipstershopconnect.NewShippingServiceHandler, hipstershopconnect.ShippingServiceHandler(parcels{s})),
		service(hipstershopconnect.CurrencyServiceName, hipstershopconnect.NewCurrencyServiceHandler, hipstershopconnect.CurrencyServiceHandler(currencies{s})),
		service(hipstershopconnect.PaymentServiceName, hipstershopconnect.NewPaymentServiceHandler, hipstershopconnect.PaymentServiceHandler(payments{s})),
		service(hipstershopconnect.EmailServiceName, hipstershopconnect.NewEmailServiceHandler, hipstershopconnect.EmailServiceHandler(mails{s})),
		service(hipstershopconnect.CheckoutServiceName, hipstershopconnect.NewCheckoutServiceHandler,
			hipstershopconnect.CheckoutServiceHandler(&checkout{Shop: s, flights: &singleflight.Group{}})),
		service(hipstershopconnect.AdServiceName, hipstershopconnect.NewAdServiceHandler, hipstershopconnect.AdServiceHandler(ads{s})),
	}
}

func service[H any](name string, construct func(H, ...connect.HandlerOption) (string, http.Handler), h H) server.CompatibleService {
	return server.CompatibleService{Name: name, Handler: func(opts ...connect.HandlerOption) (string, http.Handler) { return construct(h, opts...) }}
}

// call calls a procedure of Spillway with a request that is checked as one from outside.
func call[Req proto.Message, Resp any](ctx context.Context, f func(context.Context, Req) (Resp, error), req Req) (resp Resp, err error) {
	if err := server.CheckRequest(req); err != nil {
		return resp, err
	}
	return f(ctx, req)
}
