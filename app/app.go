package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"connectrpc.com/otelconnect"
	"golang.org/x/sync/errgroup"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/pipeline"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/telemetry"
	"github.com/spillway/spillway/web"
)

// App is one process of a shop: an API, workers, or both.
type App struct {
	cfg      Config
	log      *slog.Logger
	tokens   *auth.Tokens // nil without an API
	listener net.Listener // nil without a public port
	// certificates are those of the public port; nil without TLS.
	certificates *server.Certificates
	internal     net.Listener // nil without an internal port
	admin        net.Listener // nil without an admin address
	boutique     net.Listener // nil without Online Boutique's interface
	deps         *dependencies
	telemetry    *telemetry.Telemetry
	api          *api
	recorder     *pipeline.Recorder
	workers      workerSet
	closers      []func() error
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
	if err := a.acquire(ctx); err != nil {
		return err
	}
	start.done(ctx, "acquire")
	return a.construct(ctx, start)
}

// acquire takes what only one process can have. It comes before the connections: a process that cannot serve must not open an epoch.
func (a *App) acquire(ctx context.Context) error {
	if a.cfg.keepsFiles() {
		if err := os.MkdirAll(a.cfg.SQL.DataDir, 0o700); err != nil {
			return fmt.Errorf("--data-dir: %w", err)
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
	if a.cfg.Internal.Listen != "" {
		if a.internal, err = a.listen(ctx, "--internal-listen", a.cfg.Internal.Listen); err == nil {
			a.internal = a.cfg.HTTP.boundedInternal(a.internal, a.log)
		}
	}
	if err != nil {
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
		stopObserving, err := a.api.admission.Observe()
		if err != nil {
			return err
		}
		a.closers = append(a.closers, stopObserving)
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
func (a *App) URL() string {
	if a.listener == nil {
		return ""
	}
	if a.certificates != nil {
		return "https://" + a.listener.Addr().String()
	}
	return "http://" + a.listener.Addr().String()
}

// Close releases what Open took, the last first. Run must have returned, or never been called.
func (a *App) Close() error {
	var errs []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	a.closers = nil
	return errors.Join(errs...)
}

// Run sets up the garbage collector, unless the environment does, and runs the role until ctx ends; it can be called once.
// Then it takes no more requests and completes those under way; on embedded storage,
// which ends with the process, the workers finish what is in the journal and the queue before it returns.
func (a *App) Run(ctx context.Context) error {
	tuneMemory(os.DirFS("/"))
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	if a.deps.epochs != nil {
		a.deps.goBackground(work, a.deps.epochs.Run)
	}
	if a.api.rates != nil {
		a.deps.goBackground(work, a.api.rates.Run)
	}
	if a.cfg.External.Outages != "" {
		a.deps.goBackground(work, a.api.outages.run)
	}
	if a.admin != nil {
		a.deps.goBackground(work, a.serveAdmin)
		a.log.InfoContext(ctx, "serving metrics", "url", a.AdminURL(), "profiles", a.servesProfiles())
	}
	if interval := a.cfg.Audit.Interval; interval > 0 {
		a.deps.goBackground(work, func(ctx context.Context) {
			audit.RunPeriodically(ctx, store.NewAudits(a.deps.db), interval, audit.Options{Provider: a.api.audited}, a.log)
		})
	}
	loops, stopLoops := context.WithCancel(work)
	defer stopLoops()
	running := a.workers.run(loops, a.deps.measured)
	stopRecording := a.record(work)
	defer stopRecording()
	var err error
	switch {
	case a.listener != nil:
		err = a.serve(ctx)
	case a.internal != nil:
		err = a.serveInternal(ctx)
	default:
		a.log.InfoContext(ctx, "working", "workers", strings.Join(a.cfg.Workers, ","))
		<-ctx.Done()
	}
	stopLoops()
	err = errors.Join(err, a.awaitWorkers(ctx, running))
	if a.cfg.SQL.embedded() && a.cfg.embedded() {
		err = errors.Join(err, a.drain(work))
	}
	return err
}

// workersTimeout bounds how long a shutdown waits for iterations that have begun. Their contexts have ended; what they wait for has time
// limits of 10 s at most.
const workersTimeout = 20 * time.Second

// awaitWorkers waits for the iterations that have begun.
func (a *App) awaitWorkers(ctx context.Context, running *sync.WaitGroup) error {
	a.log.InfoContext(ctx, "shutting down: waiting for the iterations of workers to end",
		"workers", len(a.workers), "deadline", time.Now().Add(workersTimeout))
	ended := make(chan struct{})
	go func() { running.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-time.After(workersTimeout):
		return fmt.Errorf("the workers did not end within %s", workersTimeout)
	}
}

// drain empties the journal and the queue.
func (a *App) drain(ctx context.Context) error {
	a.log.InfoContext(ctx, "shutting down: waiting for the workers to empty the journal and the queue",
		"deadline", time.Now().Add(a.cfg.HTTP.DrainTimeout))
	err := a.workers.drain(ctx, a.cfg.HTTP.DrainTimeout)
	if err == nil {
		logDrained(ctx, a.log, store.NewOrders(a.deps.db).Unfinished)
	}
	return err
}

// serve serves the API until ctx ends and every accepted request is completed.
func (a *App) serve(ctx context.Context) error {
	cfg, err := a.serverConfig(ctx)
	if err != nil {
		return err
	}
	// A port that fails ends the others, and with them the process.
	ports, ctx := errgroup.WithContext(ctx)
	// It ends with ctx: a client that still watches an order would hold up the shutdown.
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	if a.cfg.serving(serviceOrder) {
		a.deps.goBackground(watching, a.api.hub.Run)
	}
	if a.api.ops != nil {
		stopOps := context.AfterFunc(ctx, a.api.ops.Stop)
		defer stopOps()
	}
	a.logServing(ctx)
	ports.Go(func() error { return a.serveHandler(ctx, server.NewHandler(cfg, a.api.services)) })
	if a.internal != nil {
		ports.Go(func() error { return a.serveInternal(ctx) })
	}
	if a.boutique != nil {
		ports.Go(func() error { return a.serveBoutique(ctx) })
	}
	err = ports.Wait()
	a.log.InfoContext(ctx, "no requests are taken any more; every accepted one was answered", "error", err)
	return err
}

// logServing logs what the process serves.
func (a *App) logServing(ctx context.Context) {
	if a.cfg.serving(serviceCheckout) {
		a.log.InfoContext(ctx, "taking orders", "url", a.URL(), "durability", a.deps.flush.Durability, "sql", a.deps.db.Dialect())
	}
	if len(a.cfg.Services) > 0 {
		a.log.InfoContext(ctx, "serving", "url", a.URL(), "services", strings.Join(a.cfg.Services, ","))
	}
}

func (a *App) serverConfig(ctx context.Context) (server.Config, error) {
	cfg := server.Config{Tokens: a.tokens, Origins: a.cfg.HTTP.Origins, Ready: a.deps.ready(), Breakers: a.deps.policies.States, Log: a.log}
	if a.deps.epochs != nil {
		cfg.Mode = a.deps.mode
	}
	// The simulated payment provider is the only one.
	cfg.Pages = server.Pages{Files: web.Files(), TestCards: true, TraceURL: a.cfg.HTTP.TraceURL}
	if a.cfg.NewLab != nil && a.development() {
		cfg.Pages.Lab = a.cfg.NewLab(ctx, a.URL(), a.operatorToken)
	}
	cfg.Sessions = server.SessionLimit{PerMinute: a.cfg.HTTP.SessionsPerMinute, Log: a.log}
	if a.api.events != nil { // Without Redis, each process counts its own.
		cfg.Sessions.Shared = a.api.events
	}
	cfg.Admission, cfg.Refused = a.api.admission, a.api.checkouts.CountRefused
	// A caller's trace is continued: its sampling decision is that of a gateway in front, and can only cost spans.
	traced, err := otelconnect.NewInterceptor(otelconnect.WithTrustRemote())
	if err != nil {
		return cfg, err
	}
	cfg.Interceptors = append(cfg.Interceptors, traced, a.api.checkouts.Interceptor())
	cfg.TrustedProxies, err = a.cfg.HTTP.proxies()
	return cfg, err
}

// embeddedInFlight bounds the checkouts, and the reads, that are served at once on the embedded Redis, which runs a few hundred orders a second: more
// would wait for it for longer than its calls may take, and fail instead of being told to come again.
const embeddedInFlight = 128

// maxCharges and embeddedMaxCharges bound the charges that one process has under way: each holds about 10 kB. At the 20 ms of a quick
// provider 512 are 25,000 a second, at the 1.5 s of a slow one 340. They are fewer than the checkouts that are served at once, so that slow
// cards do not keep orders from being placed without one, or cancelled.
const (
	maxCharges         = 512
	embeddedMaxCharges = embeddedInFlight / 2
)

func (c RedisConfig) maxCharges() int {
	if c.embedded() {
		return embeddedMaxCharges
	}
	return maxCharges
}
