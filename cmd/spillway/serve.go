package main

import (
	"context"

	"github.com/spillway/spillway/app"
)

type serveCmd struct {
	Services []string `name:"services" env:"SPILLWAY_SERVICES" enum:"${services}" placeholder:"NAME,..." help:"Which services to serve: ${enum}. Without it, all. A process needs --redis and --mysql only if its services do: see docs/services.md."`

	HTTP   httpFlags  `embed:"" group:"API"`
	SQL    sqlFlags   `embed:"" group:"SQL"`
	Redis  redisFlags `embed:"" group:"Redis"`
	Orders orderFlags `embed:"" group:"Orders"`
	Auth   authFlags  `embed:"" group:"API"`
	OIDC   oidcFlags  `embed:"" group:"API"`

	Boutique boutiqueFlags `embed:"" group:"API"`

	Admin adminFlags `embed:"" group:"Observability"`

	External externalFlags `embed:""`
	Remote   remoteFlags   `embed:"" group:"Other processes"`
	Internal internalFlags `embed:"" group:"Other processes"`
}

// Help is the end of the command's --help.
func (*serveCmd) Help() string {
	return `Examples:

    spillway serve --redis 10.0.0.5:6379 --mysql-file /run/secrets/mysql --auth-key-file /run/secrets/auth-key
    spillway serve --redis 10.0.0.5:6379 --mysql-file /run/secrets/mysql --listen 0.0.0.0:8080 --trusted-proxies 10.0.0.0/8
    spillway serve --services payment --internal-listen 10.0.0.7:9001 --mysql-file /run/secrets/mysql --auth-key-file /run/secrets/auth-key
    spillway serve --services checkout,order --payment-url http://10.0.0.7:9001 --redis 10.0.0.5:6379 --mysql-file /run/secrets/mysql --auth-key-file /run/secrets/auth-key`
}

func (c *serveCmd) config() app.Config {
	return app.Config{
		Role: app.RoleServe, Services: c.Services, Admin: c.Admin.config(), HTTP: c.HTTP.config(), Boutique: c.Boutique.config(), Auth: c.Auth.config(), OIDC: c.OIDC.config(), SQL: c.SQL.config(), Redis: c.Redis.config(),
		Orders: c.Orders.config(), Drain: app.DefaultConfig(app.RoleServe).Drain, External: c.External.config(),
		Remote: c.Remote.config(), Internal: c.Internal.config(),
	}
}

// Run runs the API.
func (c *serveCmd) Run(ctx context.Context, env environment) error {
	return runApp(ctx, c.config(), env.log, nil)
}
