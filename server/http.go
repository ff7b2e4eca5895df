package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
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
	// maxHeaderBytes bounds a request's headers: a token has about 250 bytes.
	maxHeaderBytes = 16 << 10
	// headerTimeout bounds how long a client may take to send its headers, readTimeout the whole request.
	headerTimeout = 5 * time.Second
	readTimeout   = 30 * time.Second
	// writeTimeout bounds the response: a checkout may take finishTimeout.
	writeTimeout = 30 * time.Second
	// idleTimeout closes unused connections.
	idleTimeout = 2 * time.Minute
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
	// Breakers returns the state of each circuit breaker: closed, open or half-open; nil leaves that out. An open one does not make
	// this process unready: calls that need its dependency fail, and the others are served.
	Breakers func() map[string]string
	// Mode returns where stock is reserved: redis, sql, or empty for nowhere; nil leaves that out.
	Mode func() string
	Log  *slog.Logger
	// Admission bounds the calls that are served at once; nil has fixed limits, those of DefaultLimits.
	Admission *Admission
	// Refused, if it is not nil, is called for each call that is refused before the interceptors run, with its *connect.Error.
	Refused func(ctx context.Context, procedure string, err error)
	// TrustedProxies are the proxies that are trusted to send X-Forwarded-For.
	TrustedProxies []netip.Prefix
	// Sessions bounds the guest sessions of one address.
	Sessions SessionLimit
	// Pages are the shop and the console.
	Pages Pages
	// Interceptors run outermost, such as telemetry.
	Interceptors []connect.Interceptor
}

// NewHandler serves all services on one port: Connect, gRPC and gRPC-Web, reflection, health, /livez and /readyz.
func NewHandler(cfg Config, s Services) http.Handler {
	cfg.Ready = shareChecks(cfg.Ready)
	if cfg.Admission == nil {
		cfg.Admission = NewAdmission(AdmissionConfig{})
	}
	requestLines := newRequestLog(cfg.Log, time.Now)
	bounded := connect.WithReadMaxBytes(maxBodyBytes)
	opts := []connect.HandlerOption{
		// Telemetry and the log see a panic as the error that it becomes.
		connect.WithInterceptors(cfg.Interceptors...), connect.WithInterceptors(requestLines.intercept()), recovered(cfg.Log),
		connect.WithInterceptors(errorBodies(), edge(cfg.Log), minimumTime(), cfg.Admission.intercept(), authenticate(cfg.Tokens),
			addresses(cfg.TrustedProxies), newSearchShares(cfg.Admission.limiters[ClassSearch].Limit()).intercept(), cfg.Sessions.intercept(time.Now), requests()),
		connect.WithCodec(strictJSON{"json"}), connect.WithCodec(strictJSON{"json; charset=utf-8"}), connect.WithCodec(binaryProto{}),
		connect.WithCompression("gzip", newBoundedGzip, newGzip), connect.WithCompressMinBytes(compressMinBytes),
	}
	mux, errs := router{ServeMux: http.NewServeMux(), procedures: map[string]http.Handler{}}, newRPCErrors()
	names := mount(mux, s, errs, opts)
	for procedure, h := range mux.procedures {
		mux.procedures[procedure] = cfg.Admission.refuseEarly(procedure, cfg.refused(requestLines), h)
	}
	mux.Handle(grpcreflect.NewHandlerV1(grpcreflect.NewStaticReflector(names...), bounded))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(grpcreflect.NewStaticReflector(names...), bounded))
	mux.Handle(grpchealth.NewHandler(health{checks: cfg.Ready, names: names}, bounded))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { readyz(w, r, cfg) })
	cfg.Pages.mount(mux.ServeMux, errs)
	cfg.Pages.mountLab(mux.ServeMux, cfg.Tokens)
	mux.HandleFunc("GET /openapi.yaml", serveOpenAPI)
	return requestid.Middleware(origins(cfg.Origins, withConn(mux)))
}

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

// Serve listens until ctx ends, and then waits for the requests under way, as long as drain allows. When it returns without
// an error, every accepted request got its response.
func Serve(ctx context.Context, l net.Listener, h http.Handler, drain time.Duration, log *slog.Logger) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), Protocols: new(http.Protocols),
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
	log.InfoContext(ctx, "shutting down: waiting for requests under way", "deadline", time.Now().Add(drain))
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		return fmt.Errorf("requests were still under way after %s: %w", drain, errors.Join(err, srv.Close()))
	}
	return nil
}
