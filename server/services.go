package server

import (
	"net/http"
	"strings"

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
	// DeadLetters, Audit and Ops are for operators.
	DeadLetters spillwayv1connect.DeadLetterServiceHandler
	Audit       spillwayv1connect.AuditServiceHandler
	Ops         spillwayv1connect.OpsServiceHandler
}

// router serves the procedures by their paths, and all other requests by the mux, which takes longer to find its handler.
type router struct {
	*http.ServeMux

	procedures map[string]http.Handler
	// others is the mux with a bound for bodies: boundBody bounds those of procedures.
	others http.Handler
}

func newRouter() router {
	mux := http.NewServeMux()
	return router{ServeMux: mux, procedures: map[string]http.Handler{}, others: http.MaxBytesHandler(mux, maxDiscardBytes)}
}

// ServeHTTP calls the handler of the path. A path that is written with unusual escapes goes to the mux, which decides what it means.
func (m router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, ok := m.procedures[r.URL.Path]; ok && r.URL.RawPath == "" && r.Method != http.MethodConnect {
		h.ServeHTTP(w, r)
		return
	}
	m.others.ServeHTTP(w, r)
}

// mount serves the services below their paths, and returns their names.
func mount(mux router, s Services, errs rpcErrors, opts []connect.HandlerOption) (names []string) {
	add := func(name, path string, h http.Handler) {
		h = procedures(errs, h)
		mux.Handle(path, h)
		for procedure := range permissions {
			if strings.HasPrefix(procedure, path) {
				mux.procedures[procedure] = h
			}
		}
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
	if s.Ops != nil {
		path, h := spillwayv1connect.NewOpsServiceHandler(s.Ops, opts...)
		add(spillwayv1connect.OpsServiceName, path, h)
	}
	return names
}
