package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spillway/spillway/app"
)

type allCmd struct {
	HTTP   httpFlags  `embed:"" group:"API"`
	SQL    sqlFlags   `embed:"" group:"SQL"`
	Redis  redisFlags `embed:"" group:"Redis"`
	Queue  queueFlags `embed:"" group:"Queue"`
	Orders orderFlags `embed:"" group:"Orders"`
	Drain  drainFlags `embed:"" group:"Drain"`
	Yields bool       `name:"drain-yields" env:"SPILLWAY_DRAIN_YIELDS" default:"true" negatable:"" group:"Drain" help:"While 16 or more orders are being placed, let the order writer and the shipper pause for up to a second before each batch, as long as the journal is less than half full: a burst is accepted first and drained afterwards. Not with durability sql."`
	Audit  auditFlags `embed:"" group:"Orders"`
	Auth   authFlags  `embed:"" group:"API"`
	OIDC   oidcFlags  `embed:"" group:"API"`

	Boutique boutiqueFlags `embed:"" group:"API"`

	Admin      string `name:"admin" env:"SPILLWAY_ADMIN" default:"${admin}" placeholder:"HOST:PORT" group:"Observability" help:"Where /metrics, /readyz with details, gRPC reflection (see --reflection) and, on a loopback address, /debug/pprof are served, to everyone who reaches the address. Empty is nowhere; a taken port is only logged."`
	AdminPprof bool   `name:"admin-pprof" env:"SPILLWAY_ADMIN_PPROF" group:"Observability" help:"Serve /debug/pprof at --admin also if that is no loopback address. Profiles show what is in memory, and taking them costs CPU."`

	External externalFlags `embed:""`
}

// Help is the end of the command's --help.
func (*allCmd) Help() string {
	return `Examples:

    spillway all
    spillway all --listen 127.0.0.1:9090 --data-dir /var/lib/spillway
    spillway all --redis 127.0.0.1:6379 --rocketmq 127.0.0.1:8081 --mysql-file /run/secrets/mysql --auth-key-file /run/secrets/auth-key`
}

func (c *allCmd) config() app.Config {
	drain := c.Drain.config()
	drain.Yields = c.Yields
	return app.Config{
		Role: app.RoleAll, Admin: app.AdminConfig{Listen: c.Admin, Pprof: c.AdminPprof}, HTTP: c.HTTP.config(), Boutique: c.Boutique.config(), Auth: c.Auth.config(), OIDC: c.OIDC.config(), SQL: c.SQL.config(), Redis: c.Redis.config(), Queue: c.Queue.config(),
		Orders: c.Orders.config(), Drain: drain, Audit: c.Audit.config(), External: c.External.config(), Workers: app.WorkerNames(),
	}
}

// Run runs everything.
func (c *allCmd) Run(ctx context.Context, env environment) error {
	cfg := c.config()
	cfg.NewLab = newLab
	return runApp(ctx, cfg, env.log, func(a *app.App) error {
		link, err := a.ConsoleLink()
		if link != "" {
			fmt.Fprintf(env.out, "Shop: %s\nConsole: %s\n", a.URL(), link)
		}
		return err
	})
}

// runApp runs a role until ctx ends. opened, if any, is called before it runs.
func runApp(ctx context.Context, cfg app.Config, log *slog.Logger, opened func(a *app.App) error) error {
	if err := cfg.Validate(); err != nil {
		return usageError(err)
	}
	a, err := app.Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	if opened != nil {
		if err := opened(a); err != nil {
			return errors.Join(err, a.Close())
		}
	}
	return errors.Join(a.Run(ctx), a.Close())
}
