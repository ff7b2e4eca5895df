package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"connectrpc.com/connect"
	connectcors "connectrpc.com/cors"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/rs/cors"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/requestid"
)

type httpHeader = http.Header

const (
	// compressMinBytes is the size from which responses are compressed, for clients that accept gzip. A smaller one fits into one packet
	// anyway, of 1,460 bytes with its headers, and compressing it takes several times as long as all else that surrounds an order.
	compressMinBytes = 1200
	// readyTimeout bounds the look at each part for /readyz.
	readyTimeout = 2 * time.Second
)

// Config sets up the port.
type Config struct {
	Tokens *auth.Tokens
	// Origins are the origins of pages that may call.
	Origins []string
	// Ready has a check for each dependency, which returns what is wrong.
	Ready map[string]func(ctx context.Context) error
	// Reflection describes the procedures on this port, to everyone.
	Reflection bool
	Log        *slog.Logger
	// Admission bounds the calls that are served at once; nil has fixed limits, those of DefaultLimits.
	Admission *Admission
	// Refused, if it is not nil, is called for each call that is refused before the interceptors run, with its *connect.Error.
	Refused func(ctx context.Context, procedure string, err error)
	// TrustedProxies are the proxies that are trusted to send X-Forwarded-For.
	TrustedProxies []netip.Prefix
	// Sessions bounds the guest sessions of one address.
	Sessions SessionLimit
	// Rates bound the calls of each customer and address; nil has no bound.
	Rates *CallRates
	// Pages are the shop and the console.
	Pages Pages
	// Interceptors run outermost, such as telemetry.
	Interceptors []connect.Interceptor
}

// NewHandler serves all services on one port: Connect, gRPC and gRPC-Web, health, /livez and /readyz.
func NewHandler(cfg Config, s Services) http.Handler {
	cfg.Ready = shareChecks(cfg.Ready)
	if cfg.Admission == nil {
		cfg.Admission = NewAdmission(AdmissionConfig{})
	}
	requestLines := newRequestLog(cfg.Log, time.Now)
	opts := []connect.HandlerOption{
		// Telemetry and the log see a panic as the error that it becomes.
		connect.WithInterceptors(cfg.Interceptors...), connect.WithInterceptors(requestLines.intercept()), recovered(cfg.Log),
		connect.WithInterceptors(
			errorBodies(),
			edge(cfg.Log),
			minimumTime(),
			cfg.Admission.intercept(),
			addresses(cfg.TrustedProxies),
			authenticate(cfg.Tokens, cfg.Rates),
			cfg.Rates.intercept(),
			newSearchShares(cfg.Admission.limiters[ClassSearch].Limit()).intercept(),
			cfg.Sessions.intercept(time.Now),
			requests(),
		),
		encodings(),
	}
	mux, errs := newRouter(), newRPCErrors()
	names := mount(mux, s, errs, opts)
	early := earlyRefusal{tokens: cfg.Tokens, trusted: cfg.TrustedProxies, errs: errs, refused: cfg.refused(requestLines)}
	for procedure, h := range mux.procedures {
		mux.procedures[procedure] = cfg.Admission.refuseEarly(procedure, early.refused, cfg.Rates.refuseEarly(procedure, early, h))
	}
	if cfg.Reflection {
		mountReflection(mux.ServeMux, names)
	}
	mountHealth(mux.ServeMux, cfg.Ready, names)
	cfg.Pages.mount(mux.ServeMux, errs)
	cfg.Pages.mountLab(mux.ServeMux, cfg.Tokens)
	mux.HandleFunc("GET /openapi.yaml", serveOpenAPI)
	return requestid.Middleware(origins(cfg.Origins, withConn(mux)))
}

// encodings are the codecs and the compression of ports that other programs call.
func encodings() connect.HandlerOption {
	return connect.WithHandlerOptions(
		connect.WithCodec(strictJSON{"json"}), connect.WithCodec(strictJSON{"json; charset=utf-8"}), connect.WithCodec(binaryProto{}),
		connect.WithCompression("gzip", newBoundedGzip, newGzip), connect.WithCompressMinBytes(compressMinBytes),
	)
}

// mountReflection serves the descriptions of the services.
func mountReflection(mux *http.ServeMux, names []string) {
	reflector, bounded := grpcreflect.NewStaticReflector(names...), connect.WithReadMaxBytes(maxBodyBytes)
	mux.Handle(grpcreflect.NewHandlerV1(reflector, bounded))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector, bounded))
}

// MountReflection describes the services' procedures by gRPC reflection on another port, which does not serve them.
func MountReflection(mux *http.ServeMux, s Services) {
	mountReflection(mux, mount(newRouter(), s, newRPCErrors(), nil))
}

// mountHealth serves the health of the services, which is that of the dependencies, /livez and /readyz.
func mountHealth(mux *http.ServeMux, ready map[string]func(context.Context) error, names []string) {
	mux.Handle(grpchealth.NewHandler(health{checks: ready, names: names}, connect.WithReadMaxBytes(maxBodyBytes)))
	mux.HandleFunc("GET /livez", Livez)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { readyz(w, r, ready) })
}

// Livez responds as long as the process does.
func Livez(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

// refused returns the function that logs and counts a call that is refused before the interceptors run.
func (cfg Config) refused(log *requestLog) func(ctx context.Context, procedure string, err error) {
	return func(ctx context.Context, procedure string, err error) {
		log.record(ctx, procedure, 0, false, err)
		if cfg.Refused != nil {
			cfg.Refused(ctx, procedure, err)
		}
	}
}

// corsMaxAge is how long a browser may cache a preflight response; most browsers cap it at this.
const corsMaxAge = 2 * time.Hour

// origins lets pages of the allowed origins call. Without any, none may: the library would take that for all of them.
func origins(allowed []string, next http.Handler) http.Handler {
	if len(allowed) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: allowed, AllowedMethods: connectcors.AllowedMethods(),
		AllowedHeaders: append(connectcors.AllowedHeaders(), "Authorization", keyHeader, "Traceparent", requestid.Header),
		ExposedHeaders: append(connectcors.ExposedHeaders(), "Retry-After", "WWW-Authenticate", requestid.Header),
		MaxAge:         int(corsMaxAge.Seconds()),
	}).Handler(next)
}
