package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/auth/oidc"
	"github.com/spillway/spillway/pipeline"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/telemetry"
)

// App is one process of a shop: an API, workers, or both.
type App struct {
	cfg      Config
	log      *slog.Logger
	tokens   *auth.Tokens // nil without an API
	issuer   *oidc.Source // nil without an outside issuer of tokens
	listener net.Listener // nil without a public port
	// certificates are those of the public port; nil without TLS.
	certificates *server.Certificates
	internal     net.Listener // nil without an internal port
	// internalCertificates are those of the internal port; nil without TLS.
	internalCertificates *server.Certificates
	admin                net.Listener // nil without an admin address
	boutique             net.Listener // nil without Online Boutique's interface
	deps                 *dependencies
	telemetry            *telemetry.Telemetry
	api                  *api
	recorder             *pipeline.Recorder
	workers              workerSet
	closers              []func() error
}

// Open validates the configuration, takes what the process needs for itself (the data directory's lock, the port), connects to SQL, Redis
// and the queue, and constructs the services and workers. Nothing runs yet, apart from what keeps connections usable: Run runs it. The
// caller closes the App, after Run has returned. Open fails if ctx ends meanwhile.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, log: log}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) open(ctx context.Context) error {
	start := newStages(a.log)
	a.cfg.warnOwn(ctx, a.log)
	if err := a.acquire(ctx); err != nil {
		return err
	}
	start.done(ctx, "acquire")
	return a.construct(ctx, start)
}

// acquire takes what only one process can have. It comes before the connections: a process that cannot serve must not open an epoch.
func (a *App) acquire(ctx context.Context) error {
	if a.cfg.keepsFiles() {
		if err := openDataDir(ctx, a.cfg.SQL.DataDir, a.log); err != nil {
			return err
		}
	}
	if a.cfg.embedded() {
		unlock, err := lockDataDir(a.cfg.SQL.DataDir)
		if err != nil {
			return err
		}
		a.closers = append(a.closers, unlock)
	}
	err := a.openAdmin(ctx)
	if err != nil {
		return err
	}
	a.telemetry, err = telemetry.Start(ctx, telemetry.Config{Role: string(a.cfg.Role), Scraped: a.admin != nil, Read: true, Log: a.log})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, func() error { a.telemetry.Stop(ctx); return nil })
	a.log = a.telemetry.Log()
	if a.cfg.public() {
		if a.certificates, err = a.cfg.HTTP.certificates(a.log); err != nil {
			return err
		}
		if a.listener, err = a.listen(ctx, "--listen", a.cfg.HTTP.Listen); err != nil {
			return err
		}
		a.listener = a.cfg.HTTP.bounded(a.listener, a.log)
	}
	if err := a.listenInternal(ctx); err != nil {
		return err
	}
	return a.listenBoutique(ctx)
}

// listen takes a port until the App is closed.
func (a *App) listen(ctx context.Context, flag, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	a.closers = append(a.closers, func() error { return closeListener(l) })
	return l, nil
}

// IsWrongVariable reports whether a variable of OpenTelemetry has a value that cannot be used.
func IsWrongVariable(err error) bool {
	var wrong *telemetry.VariableError
	return errors.As(err, &wrong)
}

// closeListener closes a port, unless its server has closed it already.
func closeListener(l net.Listener) error {
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// construct connects and makes the services and workers.
func (a *App) construct(ctx context.Context, start *stages) (err error) {
	c := &a.cfg
	if c.serves() || len(c.needs().remote) > 0 && c.Auth.Key != "" {
		if a.tokens, err = c.Auth.tokens(c.SQL.DataDir, c.keepsKey()); err != nil {
			return err
		}
	}
	if err := a.trustIssuer(); err != nil {
		return err
	}
	start.done(ctx, "auth key")
	if a.deps, err = openDependencies(ctx, *c, start, a.log); err != nil {
		return err
	}
	a.closers = append(a.closers, a.deps.close)
	stopObserving, err := a.deps.observe()
	if err != nil {
		return err
	}
	a.closers = append(a.closers, stopObserving)
	if a.api, err = newAPI(ctx, a.deps, *c, a.tokens); err != nil {
		return err
	}
	if c.serves() {
		for _, observe := range []func() (func() error, error){a.api.admission.Observe, a.api.callLimits.Observe} {
			stopObserving, err := observe()
			if err != nil {
				return err
			}
			a.closers = append(a.closers, stopObserving)
		}
	}
	start.done(ctx, "api")
	if !c.works() && a.deps.flush.WithOrders && c.serving(serviceCheckout, serviceOrder) {
		c.Workers = []string{workerFlusher} // Its responses wait for the flush.
	}
	a.watchPipeline()
	a.workers, err = newWorkers(ctx, a.deps, a.api, *c)
	start.done(ctx, "workers")
	return err
}

// URL is the address of the API, "http://HOST:PORT", or "https://HOST:PORT" with a certificate; empty without an API.
func (a *App) URL() string { return urlOf(a.listener, a.certificates != nil) }

// Close releases what Open took, the last first. Run must have returned, or never been called.
func (a *App) Close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	a.closers = nil
	return errors.Join(errs...)
}
