package app

import (
	"context"
	"strings"

	"connectrpc.com/otelconnect"
	"golang.org/x/sync/errgroup"

	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/web"
)

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
	a.deps.goBackground(watching, a.api.callLimits.Run)
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
	cfg := server.Config{Tokens: a.tokens, Origins: a.cfg.HTTP.Origins, Ready: a.deps.ready(), Reflection: a.reflection() == ReflectionPublic, Log: a.log}
	// The simulated payment provider is the only one.
	cfg.Pages = server.Pages{Files: web.Files(), TestCards: true, TraceURL: a.cfg.HTTP.TraceURL}
	if a.cfg.NewLab != nil && a.development() {
		cfg.Pages.Lab = a.cfg.NewLab(ctx, a.URL(), a.operatorToken)
	}
	cfg.Sessions = server.SessionLimit{PerMinute: a.cfg.HTTP.SessionsPerMinute, Log: a.log}
	if a.api.events != nil { // Without Redis, each process counts its own.
		cfg.Sessions.Shared = a.api.events
	}
	cfg.Rates = a.api.callLimits
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
