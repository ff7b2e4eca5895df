package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/server"
)

// AdminConfig configures the port for operators and their tools. It has no authentication.
type AdminConfig struct {
	Listen string // HOST:PORT; empty: none
	// Pprof serves profiles also on an address that other machines reach. They show what is in memory, and taking them costs CPU.
	Pprof bool
}

func (c AdminConfig) validate() error {
	if c.Listen == "" {
		return nil
	}
	return hostPort("--admin", c.Listen)
}

const (
	// adminHeaderTimeout bounds how long a client may take to send its headers.
	adminHeaderTimeout = 5 * time.Second
	// adminWriteTimeout bounds a response: a CPU profile takes 30 s unless ?seconds= changes that.
	adminWriteTimeout = 2 * time.Minute
	// adminStopTimeout bounds how long a shutdown waits for a scrape under way.
	adminStopTimeout = time.Second
	// adminReadyTimeout bounds the check of one dependency.
	adminReadyTimeout = 2 * time.Second
)

// openAdmin listens on the admin address. The role all, which has it by default, runs without it when the port is taken, such as by another
// shop on the machine.
func (a *App) openAdmin(ctx context.Context) error {
	if a.cfg.Admin.Listen == "" {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Admin.Listen)
	if err != nil && a.cfg.Role == RoleAll {
		a.log.WarnContext(ctx, "no metrics and profiles are served: the admin address cannot be used", "admin", a.cfg.Admin.Listen, "error", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("--admin: %w", err)
	}
	a.admin = l
	a.closers = append(a.closers, func() error { return closeListener(l) })
	return nil
}

// AdminURL is the admin address, "http://HOST:PORT"; empty without one.
func (a *App) AdminURL() string { return urlOf(a.admin, false) }

// adminHandler serves metrics, the state of each dependency, the descriptions of the procedures unless they are elsewhere, and profiles if
// servesProfiles.
func (a *App) adminHandler() http.Handler {
	mux, index := http.NewServeMux(), "/metrics\n/livez\n/readyz"
	mux.Handle("GET /metrics", a.telemetry.MetricsHandler())
	mux.HandleFunc("GET /livez", server.Livez)
	mux.HandleFunc("GET /readyz", a.serveReadiness)
	if a.servesProfiles() {
		handleProfiles(mux)
		index += "\n/debug/pprof/"
	}
	if a.listener != nil && a.reflection() == ReflectionAdmin {
		server.MountReflection(mux, a.api.services)
		index += "\n/grpc.reflection.v1.ServerReflection/"
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, index) })
	return mux
}

// servesProfiles reports whether the admin address serves profiles: it is a loopback address, or the configuration allows it.
func (a *App) servesProfiles() bool { return a.cfg.Admin.Pprof || onLoopback(a.admin) }

// handleProfiles serves profiles. It does not serve the command line, which may have secrets.
func handleProfiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}

// serveAdmin serves the admin address until ctx ends.
func (a *App) serveAdmin(ctx context.Context) {
	srv := &http.Server{
		Handler: a.onlyLocalNames(a.adminHandler()), ReadHeaderTimeout: adminHeaderTimeout, WriteTimeout: adminWriteTimeout,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug), Protocols: new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true) // for gRPC reflection
	stopping := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminStopTimeout)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close() // A profile under way is cut off.
		}
	})
	defer stopping()
	if err := srv.Serve(a.admin); !errors.Is(err, http.ErrServerClosed) {
		a.log.WarnContext(ctx, "the admin address is not served any more", "error", err)
	}
}

// readiness is the response of /readyz on the admin address.
type readiness struct {
	Ready        bool                       `json:"ready"`
	Role         Role                       `json:"role"`
	Services     []string                   `json:"services,omitempty"`
	Workers      []string                   `json:"workers,omitempty"`
	Epoch        int64                      `json:"epoch,omitempty"` // absent while none is open
	Mode         journal.Mode               `json:"mode,omitempty"`  // where stock is reserved; absent while no epoch is open
	Dependencies map[string]dependencyState `json:"dependencies"`
	Breakers     map[string]string          `json:"breakers"`
}

type dependencyState struct {
	OK     bool    `json:"ok"`
	Error  string  `json:"error,omitempty"`
	Millis float64 `json:"ms"` // duration of the check
}

// serveReadiness checks every dependency at once. The status is 503 if one is unavailable; an open breaker alone does not change it.
func (a *App) serveReadiness(w http.ResponseWriter, r *http.Request) {
	out := readiness{
		Ready: true, Role: a.cfg.Role, Services: a.cfg.served(), Workers: a.cfg.Workers, Breakers: a.deps.policies.States(),
		Dependencies: map[string]dependencyState{},
	}
	e := a.deps.epoch()
	out.Epoch, out.Mode = e.Number, e.Mode
	var mu sync.Mutex
	var checking sync.WaitGroup
	for name, check := range a.deps.ready() {
		checking.Go(func() {
			state := checkDependency(r.Context(), check)
			mu.Lock()
			defer mu.Unlock()
			out.Dependencies[name] = state
			out.Ready = out.Ready && state.OK
		})
	}
	checking.Wait()
	w.Header().Set("Content-Type", "application/json")
	if !out.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(out) // The client may be gone.
}

func checkDependency(ctx context.Context, check func(context.Context) error) (out dependencyState) {
	ctx, cancel := context.WithTimeout(ctx, adminReadyTimeout)
	defer cancel()
	start := time.Now()
	err := check(ctx)
	out.OK, out.Millis = err == nil, float64(time.Since(start).Microseconds())/1e3
	if err != nil {
		out.Error = err.Error()
	}
	return out
}
