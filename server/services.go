package server

import (
	"net/http"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// Services are the handlers to serve; those that are nil are left out.
type Services struct {
	Session  spillwayv1connect.SessionServiceHandler
	Catalog  spillwayv1connect.CatalogServiceHandler
	Cart     spillwayv1connect.CartServiceHandler
	Currency spillwayv1connect.CurrencyServiceHandler
	Checkout spillwayv1connect.CheckoutServiceHandler
	Order    spillwayv1connect.OrderServiceHandler
	// Shipping prices parcels and shows shipments. Handing parcels over is internal, as are PaymentService and EmailService.
	Shipping spillwayv1connect.ShippingServiceHandler
	// DeadLetters and Audit are for operators.
	DeadLetters spillwayv1connect.DeadLetterServiceHandler
	Audit       spillwayv1connect.AuditServiceHandler
}

// mount serves the services below their paths, and returns their names.
func mount(mux *http.ServeMux, s Services, errs rpcErrors, opts []connect.HandlerOption) (names []string) {
	add := func(name, path string, h http.Handler) {
		mux.Handle(path, procedures(errs, h))
		names = append(names, name)
	}
	if s.Session != nil {
		path, h := spillwayv1connect.NewSessionServiceHandler(s.Session, opts...)
		add(spillwayv1connect.SessionServiceName, path, h)
	}
	if s.Catalog != nil {
		path, h := spillwayv1connect.NewCatalogServiceHandler(s.Catalog, opts...)
		add(spillwayv1connect.CatalogServiceName, path, h)
	}
	if s.Cart != nil {
		path, h := spillwayv1connect.NewCartServiceHandler(s.Cart, opts...)
		add(spillwayv1connect.CartServiceName, path, h)
	}
	if s.Currency != nil {
		path, h := spillwayv1connect.NewCurrencyServiceHandler(s.Currency, opts...)
		add(spillwayv1connect.CurrencyServiceName, path, h)
	}
	if s.Checkout != nil {
		path, h := spillwayv1connect.NewCheckoutServiceHandler(s.Checkout, opts...)
		add(spillwayv1connect.CheckoutServiceName, path, h)
	}
	if s.Order != nil {
		path, h := spillwayv1connect.NewOrderServiceHandler(s.Order, opts...)
		add(spillwayv1connect.OrderServiceName, path, h)
	}
	if s.Shipping != nil {
		path, h := spillwayv1connect.NewShippingServiceHandler(s.Shipping, opts...)
		add(spillwayv1connect.ShippingServiceName, path, h)
	}
	if s.DeadLetters != nil {
		path, h := spillwayv1connect.NewDeadLetterServiceHandler(s.DeadLetters, opts...)
		add(spillwayv1connect.DeadLetterServiceName, path, h)
	}
	if s.Audit != nil {
		path, h := spillwayv1connect.NewAuditServiceHandler(s.Audit, opts...)
		add(spillwayv1connect.AuditServiceName, path, h)
	}
	return names
}
