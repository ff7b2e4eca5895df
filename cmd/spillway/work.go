package main

import (
	"context"

	"github.com/spillway/spillway/app"
)

type workCmd struct {
	Workers []string   `name:"workers" default:"${workers}" enum:"${workers}" help:"Which workers to run: ${enum}. Several processes may run the same."`
	SQL     sqlFlags   `embed:"" group:"SQL"`
	Redis   redisFlags `embed:"" group:"Redis"`
	Queue   queueFlags `embed:"" group:"Queue"`
	Orders  orderFlags `embed:"" group:"Orders"`
	Drain   drainFlags `embed:"" group:"Drain"`
	Audit   auditFlags `embed:"" group:"Orders"`

	Admin adminFlags `embed:"" group:"Observability"`

	External externalFlags `embed:""`
	Remote   remoteFlags   `embed:"" group:"Other processes"`
	Auth     authFlags     `embed:"" group:"API"`
}

// Help is the end of the command's --help.
func (*workCmd) Help() string {
	return `Examples:

    spillway work --redis 10.0.0.5:6379 --mysql-file /run/secrets/mysql --rocketmq 10.0.0.6:8081
    spillway work --redis 10.0.0.5:6379 --mysql-file /run/secrets/mysql --workers order-writer,shipper
    spillway work --workers mailer --email-url http://10.0.0.8:9001 --service-token-file /run/secrets/service-token --mysql-file /run/secrets/mysql --rocketmq 10.0.0.6:8081`
}

func (c *workCmd) config() app.Config {
	return app.Config{
		Role: app.RoleWork, Admin: c.Admin.config(), SQL: c.SQL.config(), Redis: c.Redis.config(), Queue: c.Queue.config(),
		Orders: c.Orders.config(), Drain: c.Drain.config(), Audit: c.Audit.config(), External: c.External.config(), Workers: c.Workers,
		Remote: c.Remote.config(), Auth: c.Auth.config(),
	}
}

// Run runs workers.
func (c *workCmd) Run(ctx context.Context, env environment) error {
	return runApp(ctx, c.config(), env.log, nil)
}
