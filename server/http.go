package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	connectcors "connectrpc.com/cors"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"connectrpc.com/validate"
	"github.com/rs/cors"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

type httpHeader = http.Header

const (
	// bodyMax bounds a request's body, in bytes: an order of 100 lines has about 6 kB.
	bodyMax = 64 << 10
	// headerMax bounds a request's headers, in bytes: a token has about 250.
	headerMax = 16 << 10
	// headerTimeout bounds how long a client may take to send its headers, readTimeout the whole request.
	headerTimeout = 5 * time.Second
	readTimeout   = 30 * time.Second
	// writeTimeout bounds the answer: a checkout may take finishTimeout.
	writeTimeout = 30 * time.Second
	// idleTimeout lets connections go that nobody uses.
	idleTimeout = 2 * time.Minute
	// readyTimeout bounds the look at each part for /readyz.
	readyTimeout = 2 * time.Second
)

// Services are the handlers to serve; those that are nil are left out.
type Services struct {
	Session  spillwayv1connect.SessionServiceHandler
	Catalog  spillwayv1connect.CatalogServiceHandler
	Cart     spillwayv1connect.CartServiceHandler
	Currency spillwayv1connect.CurrencyServiceHandler
	Checkout spillwayv1connect.CheckoutServiceHandler
	Order    spillwayv1connect.OrderServiceHandler
	Shipping spillwayv1connect.ShippingServiceHandler
	Payment  spillwayv1connect.PaymentServiceHandler
	Email    spillwayv1connect.EmailServiceHandler
	// DeadLetters and Audit are for operators.
	DeadLetters spillwayv1connect.DeadLetterServiceHandler
	Audit       spillwayv1connect.AuditServiceHandler
}

// Config sets up the port.
type Config struct {
	Tokens *auth.Tokens
	// Origins are those whose pages may call.
	Origins []string
	// Ready says of each part whether it works; an error says what is wrong.
	Ready map[string]func(ctx context.Context) error
	// Breakers says of each part whether its circuit breaker is closed, open or half-open; nil leaves that out. One that is open
	// does not make this process unready: callers are told what does not work, and the rest goes on.
	Breakers func() map[string]string
	Log      *slog.Logger
	// InFlight bounds the unary requests that are served at once; 0 is inFlightMax.
	InFlight int
	// Interceptors run outermost, such as telemetry.
	Interceptors []connect.Interceptor
}

// NewHandler serves all services on one port: Connect, gRPC and gRPC-Web, reflection, health, /livez and /readyz.
func NewHandler(cfg Config, s Services) http.Handler {
	validator := validate.NewInterceptor()
	bounded := connect.WithReadMaxBytes(bodyMax)
	opts := []connect.HandlerOption{
		// Telemetry sees a panic as the error that it becomes.
		connect.WithInterceptors(cfg.Interceptors...), recovered(cfg.Log),
		connect.WithInterceptors(edge(cfg.Log), limit(cmp.Or(cfg.InFlight, inFlightMax)), authenticate(cfg.Tokens), validator), bounded,
		connect.WithCodec(strictJSON{"json"}), connect.WithCodec(strictJSON{"json; charset=utf-8"}),
	}
	mux := http.NewServeMux()
	names := mount(mux, s, opts)
	mux.Handle(grpcreflect.NewHandlerV1(grpcreflect.NewStaticReflector(names...), bounded))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(grpcreflect.NewStaticReflector(names...), bounded))
	mux.Handle(grpchealth.NewHandler(health{checks: cfg.Ready, names: names}, bounded))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { readyz(w, r, cfg) })
	mux.HandleFunc("/", home)
	return contentTypes(origins(cfg.Origins, reachable(mux)))
}

// corsMaxAge is after how long a browser asks again; most cap it there.
const corsMaxAge = 2 * time.Hour

// origins lets pages of the allowed origins call. Without any, none may: the library would take that for all of them.
func origins(allowed []string, next http.Handler) http.Handler {
	if len(allowed) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: allowed, AllowedMethods: connectcors.AllowedMethods(),
		AllowedHeaders: append(connectcors.AllowedHeaders(), "Authorization", keyHeader, "Traceparent"),
		ExposedHeaders: append(connectcors.ExposedHeaders(), "Retry-After", "WWW-Authenticate"),
		MaxAge:         int(corsMaxAge.Seconds()),
	}).Handler(next)
}

func mount(mux *http.ServeMux, s Services, opts []connect.HandlerOption) (names []string) {
	add := func(name, path string, h http.Handler) {
		mux.Handle(path, h)
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
	if s.Payment != nil {
		path, h := spillwayv1connect.NewPaymentServiceHandler(s.Payment, opts...)
		add(spillwayv1connect.PaymentServiceName, path, h)
	}
	if s.Email != nil {
		path, h := spillwayv1connect.NewEmailServiceHandler(s.Email, opts...)
		add(spillwayv1connect.EmailServiceName, path, h)
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

// home answers what is no procedure.
func home(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, "There is nothing at this path. Procedures look like POST /spillway.v1.CatalogService/ListProducts.\n")
		return
	}
	fmt.Fprintf(w, "Spillway takes orders. Try: curl -H 'Content-Type: application/json' -d '{}' http://%s/spillway.v1.CatalogService/ListProducts\n", r.Host)
}

// contentTypes answers a POST that is in no language of a procedure, and says which there are. Connect would answer with an
// empty 415.
func contentTypes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if say := complaint(r); say != "" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnsupportedMediaType)
			fmt.Fprintf(w, `{"code":"invalid_argument","message":%q}`+"\n", say)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// complaint is what is wrong with the language of a request; empty when nothing is.
func complaint(r *http.Request) string {
	contentType := r.Header.Get("Content-Type")
	switch {
	case r.Method != http.MethodPost:
		return ""
	case !spoken(contentType):
		return "send Content-Type: application/json (or application/proto, application/grpc)"
	case streams[r.URL.Path] && unaryOnly(contentType):
		return "the answer is a stream: send Content-Type: application/connect+json (or application/connect+proto, application/grpc, " +
			"application/grpc-web), with the message in an envelope"
	}
	return ""
}

// spoken says whether the content type is one that the protocols know, in UTF-8.
func spoken(contentType string) bool {
	kind, params, err := mime.ParseMediaType(contentType)
	if charset := params["charset"]; err != nil || (charset != "" && !strings.EqualFold(charset, "utf-8")) {
		return false
	}
	switch kind {
	case "application/json", "application/proto", "application/connect+json", "application/connect+proto",
		"application/grpc", "application/grpc+json", "application/grpc+proto",
		"application/grpc-web", "application/grpc-web+json", "application/grpc-web+proto":
		return true
	}
	return false
}

// unaryOnly says whether the content type, one that is spoken, is of calls that are answered once.
func unaryOnly(contentType string) bool {
	kind, _, _ := mime.ParseMediaType(contentType) // It was parsed before.
	return kind == "application/json" || kind == "application/proto"
}

// readyz lists what does not work; 503 if anything. Beside it stand the breakers' states.
func readyz(w http.ResponseWriter, r *http.Request, cfg Config) {
	parts := map[string]any{}
	status := http.StatusOK
	if cfg.Breakers != nil {
		parts["breakers"] = cfg.Breakers()
	}
	for name, check := range cfg.Ready {
		parts[name] = "ok"
		if err := ask(r.Context(), check); err != nil {
			parts[name], status = err.Error(), http.StatusServiceUnavailable
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(parts) // The client may be gone.
}

func ask(ctx context.Context, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	return check(ctx)
}

// health is grpchealth's checker: a service is serving while all parts work.
type health struct {
	checks map[string]func(ctx context.Context) error
	names  []string
}

// Check answers for one service, or for all when none is named.
func (h health) Check(ctx context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	if req.Service != "" && !slices.Contains(h.names, req.Service) {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("there is no service %q", req.Service))
	}
	for _, check := range h.checks {
		if ok := ask(ctx, check) == nil; !ok {
			return &grpchealth.CheckResponse{Status: grpchealth.StatusNotServing}, nil
		}
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
}

// Serve listens until ctx ends, and then waits for the requests under way, as long as drain allows. When it returns without
// an error, every request that was accepted was answered.
func Serve(ctx context.Context, l net.Listener, h http.Handler, drain time.Duration, log *slog.Logger) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: headerMax, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), Protocols: new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true) // gRPC without TLS
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		return fmt.Errorf("requests were still under way after %s: %w", drain, errors.Join(err, srv.Close()))
	}
	return nil
}
