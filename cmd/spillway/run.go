package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/telemetry"
)

type allCmd struct {
	HTTP   httpConfig  `embed:"" group:"API"`
	SQL    sqlConfig   `embed:"" group:"SQL"`
	Redis  redisConfig `embed:"" group:"Redis"`
	Queue  queueConfig `embed:"" group:"Queue"`
	Orders orderConfig `embed:"" group:"Orders"`
	Watch  watchConfig `embed:"" group:"Orders"`
	Key    keyConfig   `embed:"" group:"API"`

	Outside outsideConfig `embed:""`
}

// Run runs everything.
func (c *allCmd) Run(ctx context.Context, log *slog.Logger) error {
	if err := errors.Join(c.HTTP.validate(), c.SQL.validate(), c.Redis.validate(), c.Queue.validate(), c.Orders.validate(), c.Watch.validate(), c.Outside.validate()); err != nil {
		return err
	}
	return runRole(ctx, log, role{
		http: &c.HTTP, sql: c.SQL, redis: c.Redis, queue: c.Queue, orders: c.Orders, watch: c.Watch, key: c.Key, outside: c.Outside, workers: workerNames,
	})
}

type serveCmd struct {
	HTTP   httpConfig  `embed:"" group:"API"`
	SQL    sqlConfig   `embed:"" group:"SQL"`
	Redis  redisConfig `embed:"" group:"Redis"`
	Orders orderConfig `embed:"" group:"Orders"`
	Key    keyConfig   `embed:"" group:"API"`

	Outside outsideConfig `embed:""`
}

var errReal = errors.New("this role needs --redis and --mysql: embedded storage lives in one process, which is `spillway all`")

// Run runs the API.
func (c *serveCmd) Run(ctx context.Context, log *slog.Logger) error {
	errs := []error{c.HTTP.validate(), c.SQL.validate(), c.Redis.validate(), c.Orders.validate(), c.Outside.validate()}
	if c.SQL.embedded() || c.Redis.embedded() {
		errs = append(errs, errReal)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return runRole(ctx, log, role{http: &c.HTTP, sql: c.SQL, redis: c.Redis, orders: c.Orders, key: c.Key, outside: c.Outside})
}

type workCmd struct {
	Workers []string    `name:"workers" default:"${workers}" enum:"${workers}" help:"Which workers to run: ${enum}. Several processes may run the same."`
	SQL     sqlConfig   `embed:"" group:"SQL"`
	Redis   redisConfig `embed:"" group:"Redis"`
	Queue   queueConfig `embed:"" group:"Queue"`
	Orders  orderConfig `embed:"" group:"Orders"`
	Watch   watchConfig `embed:"" group:"Orders"`

	Outside outsideConfig `embed:""`
}

// Run runs workers.
func (c *workCmd) Run(ctx context.Context, log *slog.Logger) error {
	errs := []error{c.SQL.validate(), c.Redis.validate(), c.Queue.validate(), c.Orders.validate(), c.Watch.validate(), c.Outside.validate()}
	if c.SQL.embedded() || c.Redis.embedded() {
		errs = append(errs, errReal)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return runRole(ctx, log, role{sql: c.SQL, redis: c.Redis, queue: c.Queue, orders: c.Orders, watch: c.Watch, outside: c.Outside, workers: c.Workers})
}

// role is what one process runs.
type role struct {
	http    *httpConfig // nil: no API
	sql     sqlConfig
	redis   redisConfig
	queue   queueConfig
	orders  orderConfig
	watch   watchConfig
	key     keyConfig
	outside outsideConfig
	workers []string
}

// runRole makes sure that nobody else has what the role needs for itself, and runs it. The port and the data directory come before the
// parts: who cannot serve must not open an epoch.
func runRole(ctx context.Context, log *slog.Logger, r role) (err error) {
	if r.redis.embedded() {
		unlock, lockErr := lockDataDir(r.sql.DataDir)
		if lockErr != nil {
			return lockErr
		}
		defer func() { err = errors.Join(err, unlock()) }()
	}
	stopMetrics, err := telemetry.Metrics(ctx, log)
	if err != nil {
		return err
	}
	defer stopMetrics()
	if r.http == nil {
		return r.run(ctx, log, nil)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.http.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	defer l.Close() // The server has closed it already, unless it never came to that.
	return r.run(ctx, log, l)
}

// run runs the role until ctx ends. Then it stops taking requests and answers those under way; on embedded storage, which
// ends with the process, the workers finish what is in the journal and the queue before it returns.
func (r role) run(ctx context.Context, log *slog.Logger, l net.Listener) (err error) {
	embedded := r.sql.embedded() && r.redis.embedded()
	tokens, err := r.key.tokens(r.sql.DataDir, r.sql.embedded())
	if err != nil && r.http != nil {
		return err
	}
	p, err := openParts(ctx, r.sql, r.redis, r.orders, log)
	if err != nil {
		return err
	}
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		stopWork()
		err = errors.Join(err, p.close())
	}()
	a, err := newAPI(p, r.redis, r.orders, r.sql.DataDir, r.outside, tokens)
	if err != nil {
		return err
	}
	if r.http != nil && len(r.workers) == 0 && p.flush.WithOrders {
		r.workers = []string{workerFlusher} // Its answers wait for the flush.
	}
	turns, err := newWorkers(ctx, p, a, r)
	if err != nil {
		return err
	}
	p.goes(work, p.epochs.Run)
	p.goes(work, a.rates.Run)
	if r.watch.AuditEvery > 0 {
		p.goes(work, func(ctx context.Context) {
			audit.Every(ctx, store.NewAudits(p.db), r.watch.AuditEvery, audit.Options{Provider: a.audited}, log)
		})
	}
	loops, stopLoops := context.WithCancel(work)
	defer stopLoops()
	running := turns.run(loops)
	if r.http == nil {
		log.InfoContext(ctx, "working", "workers", strings.Join(r.workers, ","))
		<-ctx.Done()
	} else {
		// It ends with ctx: whoever still watches would hold up the shutdown.
		watching, stopWatching := context.WithCancel(ctx)
		defer stopWatching()
		p.goes(watching, a.hub.Run)
		cfg := server.Config{Tokens: tokens, Origins: r.http.Origins, Ready: p.ready(), Breakers: p.policies.States, Log: log}
		cfg.Sessions.PerMinute = r.http.SessionRate
		if cfg.Sessions.TrustedProxies, err = r.http.proxies(); err != nil {
			return err
		}
		if r.redis.embedded() {
			cfg.Limits = map[server.Class]int{server.ClassCheckout: embeddedInFlight, server.ClassBrowse: embeddedInFlight}
		}
		err = r.serve(ctx, log, l, p, a, cfg)
	}
	stopLoops()
	running.Wait()
	if embedded {
		drainErr := turns.drain(work, r.http.Drain)
		if drainErr == nil {
			logDrained(work, log, store.NewOrders(p.db).Unfinished)
		}
		err = errors.Join(err, drainErr)
	}
	return err
}

func (r role) serve(ctx context.Context, log *slog.Logger, l net.Listener, p *parts, a *api, cfg server.Config) error {
	log.InfoContext(ctx, "taking orders", "url", "http://"+l.Addr().String(), "durability", p.flush.Durability, "sql", p.db.Dialect())
	err := server.Serve(ctx, l, server.NewHandler(cfg, a.services), r.http.Drain, log)
	log.InfoContext(ctx, "no requests are taken any more; every accepted one was answered", "error", err)
	return err
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
