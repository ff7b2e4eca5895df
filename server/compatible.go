package server

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/requestid"
)

// CompatibleService is a service of another system's wire interface.
type CompatibleService struct {
	// Name is the full name, such as "hipstershop.CartService".
	Name string
	// Handler makes the handler, and returns the path below which it serves.
	Handler func(opts ...connect.HandlerOption) (path string, h http.Handler)
}

// CompatibleConfig sets up an address for callers without tokens, which speak the wire interface of another system.
type CompatibleConfig struct {
	// LimitedAs maps each procedure that is served to the procedure of Spillway whose limits apply to its calls.
	LimitedAs map[string]string
	// Admission bounds the calls, those of Spillway's own port included.
	Admission *Admission
	// Ready has a check for each dependency, as Config has.
	Ready map[string]func(ctx context.Context) error
	// Reflection describes the procedures.
	Reflection bool
	// Files holds the pictures below static/; nil serves none.
	Files fs.FS
	Log   *slog.Logger
	// Interceptors run outermost, such as telemetry.
	Interceptors []connect.Interceptor
}

// NewCompatibleHandler serves the services with gRPC, gRPC-Web and Connect, reflection, health, /livez and /readyz. The calls pass the guards of Spillway's own
// port, except for those that need a token or the address of a customer: the callers are servers that stand between.
func NewCompatibleHandler(cfg CompatibleConfig, services []CompatibleService) http.Handler {
	opts := []connect.HandlerOption{
		connect.WithInterceptors(cfg.Interceptors...), connect.WithInterceptors(newRequestLog(cfg.Log, time.Now).intercept()), recovered(cfg.Log),
		connect.WithInterceptors(errorBodies(), edge(cfg.Log), minimumTime(), cfg.Admission.interceptAs(cfg.LimitedAs), requests()),
		encodings(),
	}
	mux, errs := http.NewServeMux(), newRPCErrors()
	names := make([]string, len(services))
	for i, s := range services {
		at, h := s.Handler(opts...)
		mux.Handle(at, knownProcedures(errs, h, func(procedure string) bool { return cfg.LimitedAs[procedure] != "" }))
		names[i] = s.Name
	}
	if cfg.Reflection {
		mountReflection(mux, names)
	}
	mountHealth(mux, shareChecks(cfg.Ready), names)
	if cfg.Files != nil {
		mux.HandleFunc("GET /static/", pictures(Pages{Files: cfg.Files}, errs))
	}
	mux.HandleFunc("/", errs.notFound)
	return requestid.Middleware(mux)
}

// rasterName is the extension by which other systems name their pictures.
const rasterName = ".jpg"

// pictures serves the pictures, each also under the name that other systems give it: an SVG as NAME.jpg. Its content type says that it is an SVG,
// which browsers go by.
func pictures(p Pages, errs rpcErrors) http.HandlerFunc {
	serve := p.file(pictureCache, errs)
	return func(w http.ResponseWriter, r *http.Request) {
		if name, ok := strings.CutSuffix(path.Clean(r.URL.Path), rasterName); ok {
			at := *r.URL
			at.Path = name + ".svg"
			renamed := *r
			renamed.URL = &at
			r = &renamed
		}
		serve(w, r)
	}
}

// CheckRequest returns the error of a request of Spillway's own API that breaks the rules of its message, for callers that pass by the port.
func CheckRequest(message any) error { return checkRequest(message) }
