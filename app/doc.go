// Package app builds and runs the roles of a Spillway process: the API (RoleServe), workers (RoleWork), or both (RoleAll), on embedded
// storage or real servers. It is the only package that constructs: it connects the adapters to their ports, and sets and validates every
// setting. Tests start a whole shop in process:
//
//	cfg := app.DefaultConfig(app.RoleAll)
//	cfg.SQL.DataDir, cfg.HTTP.Listen = t.TempDir(), "127.0.0.1:0"
//	a, err := app.Open(ctx, cfg, log)   // connects and constructs
//	go a.Run(ctx)                       // until ctx ends, then drains
//	// … requests to a.URL() …
//	a.Close()                           // after Run has returned
//
// The commands that look after a shop from outside (migrate, seed, durability, audit) are functions here: MigrateUp, Migrations, Seed,
// Durability and RunAudit.
//
// | file | constructs |
// | --- | --- |
// | config*.go, auth.go, external.go, rates.go | Config: defaults, validation |
// | app.go, lock.go | the process: data directory's lock, port, lifecycle |
// | deps.go, deps_open.go | SQL, Redis, journal, epochs, policies |
// | services.go | the RPC services |
// | queue.go | the broker: RocketMQ, or streams in Redis |
// | workers.go, consumers.go, repairer.go, drain.go | the workers, and how they are run and drained |
// | database.go, audit.go, audit_sources.go | the functions of commands |
package app
