package server

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/requestid"
	"github.com/spillway/spillway/wire"
)

const (
	// maxInternalCalls bounds the calls of other processes that are served at once, of some 10 kB each. A process that takes orders has 512 charges in
	// progress at most.
	maxInternalCalls = 4096
	// maxInternalBytes bounds a request of another process: 100 mails of orders that were placed by requests of up to 64 kB, with the products' names.
	maxInternalBytes = 16 << 20
)

// InternalServices are the services that other processes of the shop call; those that are nil are left out.
type InternalServices struct {
	Payment  spillwayv1connect.PaymentServiceHandler
	Email    spillwayv1connect.EmailServiceHandler
	Shipping spillwayv1connect.ShippingServiceHandler
	Cart     spillwayv1connect.CartServiceHandler
	Catalog  spillwayv1connect.CatalogServiceHandler
	Currency spillwayv1connect.CurrencyServiceHandler
}

// internalProcedures are the procedures that the internal port serves, to callers with the role service. The value is true for those that serve a
// customer, whom auth.CustomerHeader names.
var internalProcedures = map[string]bool{
	spillwayv1connect.PaymentServiceChargeProcedure:                  false,
	spillwayv1connect.PaymentServiceGetChargeProcedure:               false,
	spillwayv1connect.PaymentServiceRefundProcedure:                  false,
	spillwayv1connect.PaymentServiceExecuteRefundProcedure:           false,
	spillwayv1connect.PaymentServiceVoidProcedure:                    false,
	spillwayv1connect.EmailServiceSendOrderMailsProcedure:            false,
	spillwayv1connect.ShippingServiceGetQuoteProcedure:               false,
	spillwayv1connect.ShippingServiceShipOrderProcedure:              false,
	spillwayv1connect.CatalogServiceGetProductsProcedure:             false,
	spillwayv1connect.CurrencyServiceGetSupportedCurrenciesProcedure: false,
	spillwayv1connect.CartServiceGetCartProcedure:                    true,
	spillwayv1connect.CartServiceEmptyCartProcedure:                  true,
}

// InternalConfig sets up the internal port.
type InternalConfig struct {
	Tokens *auth.Tokens
	// Ready has a check for each dependency, which returns what is wrong.
	Ready map[string]func(ctx context.Context) error
	Log   *slog.Logger
	// Interceptors run outermost, such as telemetry.
	Interceptors []connect.Interceptor
}

// NewInternalHandler serves the services to other processes of the shop: Connect and gRPC, health, /livez and /readyz. Every call needs a token with the role
// service.
func NewInternalHandler(cfg InternalConfig, s InternalServices) http.Handler {
	cfg.Ready = shareChecks(cfg.Ready)
	requestLines := newRequestLog(cfg.Log, time.Now)
	opts := []connect.HandlerOption{
		connect.WithInterceptors(cfg.Interceptors...), connect.WithInterceptors(requestLines.intercept()), recovered(cfg.Log),
		connect.WithInterceptors(internalEdge(cfg.Log), minimumTime(), bounded(NewLimiter("internal calls", maxInternalCalls)),
			authenticateService(cfg.Tokens), unaryInterceptor(checked(checkInternalRequest))),
		connect.WithReadMaxBytes(maxInternalBytes), connect.WithCodec(strictJSON{"json"}), connect.WithCodec(binaryProto{}),
	}
	mux := http.NewServeMux()
	names := mountInternal(mux, s, servicesOnly(cfg.Tokens, requestLines), opts)
	mountHealth(mux, cfg.Ready, names)
	return requestid.Middleware(mux)
}

// internalStatus is the HTTP status of refusals before the body is read.
var internalStatus = map[connect.Code]int{
	connect.CodeUnauthenticated: http.StatusUnauthorized, connect.CodePermissionDenied: http.StatusForbidden, connect.CodeUnimplemented: http.StatusNotImplemented,
	connect.CodeUnavailable: http.StatusServiceUnavailable, // The keys of the token's issuer are not known yet.
}

// servicesOnly refuses a call without the token of a service before anything of its body is read: a body may have maxInternalBytes here, more after it is decompressed, so
// that callers whom nobody knows could use up the memory of the process.
func servicesOnly(tokens *auth.Tokens, log *requestLog) func(http.Handler) http.Handler {
	errs := newRPCErrors()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := serviceCaller(tokens, r.URL.Path, r.Header)
			if err == nil {
				next.ServeHTTP(w, r)
				return
			}
			f := refusalOf(err)
			status, ok := internalStatus[f.code]
			if !ok {
				status = http.StatusBadRequest
			}
			log.record(r.Context(), r.URL.Path, 0, false, f.connectError(r.Context()))
			errs.write(w, r, f, status)
		})
	}
}

// mountInternal serves the services below their paths, and returns their names.
func mountInternal(mux *http.ServeMux, s InternalServices, guard func(http.Handler) http.Handler, opts []connect.HandlerOption) (names []string) {
	add := func(name, path string, h http.Handler) {
		mux.Handle(path, guard(h))
		names = append(names, name)
	}
	if s.Payment != nil {
		path, h := spillwayv1connect.NewPaymentServiceHandler(s.Payment, opts...)
		add(spillwayv1connect.PaymentServiceName, path, h)
	}
	if s.Email != nil {
		path, h := spillwayv1connect.NewEmailServiceHandler(s.Email, opts...)
		add(spillwayv1connect.EmailServiceName, path, h)
	}
	if s.Shipping != nil {
		path, h := spillwayv1connect.NewShippingServiceHandler(s.Shipping, opts...)
		add(spillwayv1connect.ShippingServiceName, path, h)
	}
	if s.Cart != nil {
		path, h := spillwayv1connect.NewCartServiceHandler(s.Cart, opts...)
		add(spillwayv1connect.CartServiceName, path, h)
	}
	if s.Catalog != nil {
		path, h := spillwayv1connect.NewCatalogServiceHandler(s.Catalog, opts...)
		add(spillwayv1connect.CatalogServiceName, path, h)
	}
	if s.Currency != nil {
		path, h := spillwayv1connect.NewCurrencyServiceHandler(s.Currency, opts...)
		add(spillwayv1connect.CurrencyServiceName, path, h)
	}
	return names
}

// unaryInterceptor wraps unary calls. A stream is refused: no process calls one.
func unaryInterceptor(unary func(next connect.UnaryFunc) connect.UnaryFunc) connect.Interceptor {
	return interceptor{unary: unary, stream: func(connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
		return func(_ context.Context, conn connect.StreamingHandlerConn) error {
			return connect.NewError(connect.CodeUnimplemented, errors.New(conn.Spec().Procedure+" is not served on the internal port"))
		}
	}}
}

// internalEdge is edge for calls between processes: the error also has whether the call had an effect, if that is known.
func internalEdge(log *slog.Logger) connect.Interceptor {
	return unaryInterceptor(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			resp, err := next(ctx, req)
			if err == nil {
				return resp, nil
			}
			translated := translate(ctx, log, req.Spec().Procedure, err)
			var refused *refusalError
			if errors.As(translated, &refused) && errors.Is(err, order.ErrNotSent) && refused.code == connect.CodeUnavailable &&
				!errors.Is(err, order.ErrUnknownOutcome) {
				refused.refusal = refused.withMetadata(wire.MetaOutcome, wire.OutcomeNotSent)
			}
			return nil, translated
		}
	})
}

// withMetadata returns the refusal with one more value.
func (f refusal) withMetadata(key, value string) refusal {
	metadata := map[string]string{key: value}
	maps.Copy(metadata, f.metadata)
	f.metadata = metadata
	return f
}

// bounded refuses calls beyond the limit.
func bounded(limit *Limiter) connect.Interceptor {
	return unaryInterceptor(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			release, err := limit.Acquire()
			if err != nil {
				return nil, err
			}
			defer release()
			return next(ctx, req)
		}
	})
}

// authenticateService refuses callers without the role service, and procedures that the internal port does not serve. It puts into the context the caller: the service
// itself, or the customer on whose behalf it calls.
func authenticateService(tokens *auth.Tokens) connect.Interceptor {
	return unaryInterceptor(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			caller, err := serviceCaller(tokens, req.Spec().Procedure, req.Header())
			if err != nil {
				return nil, err
			}
			return next(auth.With(ctx, caller), req)
		}
	})
}

func serviceCaller(tokens *auth.Tokens, procedure string, header http.Header) (auth.Caller, error) {
	onBehalf, served := internalProcedures[procedure]
	if !served {
		return auth.Caller{}, order.Refuse(errUnimplemented, order.ReasonProcedureNotServed, "procedure %s is not served on the internal port", procedure).
			With(metaProcedure, procedure)
	}
	if header.Get("Authorization") == "" {
		return auth.Caller{}, order.Refuse(errUnauthenticated, order.ReasonTokenMissing,
			"send a token with the role service: `Authorization: Bearer …`; `spillway token --role service` makes one")
	}
	caller, err := callerOf(tokens, header.Get("Authorization"))
	if err != nil {
		return auth.Caller{}, err
	}
	if !caller.Has(auth.Service) {
		return auth.Caller{}, roleRequired(auth.Service)
	}
	if !onBehalf {
		return caller, nil
	}
	customer := order.CustomerID(header.Get(auth.CustomerHeader))
	if !customer.Valid() {
		return auth.Caller{}, order.Refuse(order.ErrInvalid, order.ReasonInvalidField, "the header %s must name a customer", auth.CustomerHeader)
	}
	return auth.Caller{Customer: customer}, nil
}
