package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/sqlmode"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

func openDependencies(ctx context.Context, c Config, start *stages, log *slog.Logger) (deps *dependencies, err error) {
	deps = &dependencies{
		log: log, needs: c.needs(), policies: policiesOf(c.needs()), progress: journal.NewProgress(),
		activity: &workers.Activity{}, load: &server.CheckoutLoad{},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, deps.close())
		}
	}()
	if deps.measured, err = workers.NewMetrics(); err != nil {
		return deps, err
	}
	if deps.needs.sql {
		if err := deps.openSQL(ctx, c.SQL, start); err != nil {
			return deps, err
		}
	}
	if deps.needs.redis {
		if err := deps.openRedis(ctx, c.Redis); err != nil {
			return deps, err
		}
		start.done(ctx, "redis")
		err = deps.openStock(ctx, c)
		start.done(ctx, "first epoch")
	}
	return deps, err
}

// openStock makes what is kept in Redis, and checks it once.
func (deps *dependencies) openStock(ctx context.Context, c Config) error {
	recorded, err := store.NewStock(deps.db).Durability(ctx, partition)
	if err != nil {
		return err
	}
	embedded := c.Redis.embedded()
	if embedded && c.Orders.durability(recorded, embedded) == store.DurabilityReplica {
		return errReplicaEmbedded
	}
	deps.flush = workers.DefaultFlushConfig()
	deps.flush.Batch = int64(c.Drain.FlushBatch)
	deps.flush.Partition, deps.flush.Durability = partition, c.Orders.durability(recorded, embedded)
	deps.flush.WithOrders = deps.flush.Durability == store.DurabilitySQL
	deps.keys = journal.Keys{Namespace: c.Redis.Namespace, Partition: partition}
	hot := deps.policies[breaker.Redis]
	deps.journal = journal.New(deps.keys, deps.redis, deps.policies[breaker.Journal])
	deps.changes = journal.NewChanges(deps.keys, deps.redis, hot)
	inSQL := store.NewStock(deps.db)
	deps.epochs = journal.NewEpochs(journal.EpochsConfig{
		Keys: deps.keys, Conn: deps.redis, Store: inSQL, Drain: deps.flusher().Drain, Rewind: stock.Rewind(deps.keys), Log: deps.log,
		Durability: deps.flush.Durability, Replicas: deps.flush.Durability == store.DurabilityReplica,
		SQLMode: c.Orders.sqlMode(), ReserveShare: c.Orders.reserveShare(),
	})
	limits := c.Orders.limits(embedded)
	deps.stock = stock.New(deps.keys, deps.redis, deps.epochs, inSQL, limits, hot).
		WithSQLMode(sqlmode.New(deps.flush.Durability, limits, inSQL, store.NewOrders(deps.db)))
	if c.Role == RoleAll && c.Drain.Yields && deps.flush.Durability != store.DurabilitySQL {
		deps.yield = workers.NewYield(workers.DefaultYieldConfig(limits.JournalMax), deps.load, deps.journal)
	}
	return deps.firstEpoch(ctx)
}

func (deps *dependencies) openSQL(ctx context.Context, cfg SQLConfig, start *stages) error {
	if cfg.embedded() {
		if err := createPrivate(cfg.sqlitePath()); err != nil {
			return fmt.Errorf("--data-dir: %w", err)
		}
	}
	db, err := store.Open(ctx, cfg.dsn())
	if err != nil {
		return err
	}
	deps.db = db
	deps.closers = append(deps.closers, db.Close)
	db.Guard(deps.policies[breaker.SQL])
	start.done(ctx, "sql")
	m := store.NewMigrator(db)
	if !cfg.embedded() {
		return m.Check(ctx)
	}
	if _, err := m.Up(ctx); err != nil {
		return err
	}
	start.done(ctx, "migrations")
	_, err = seed(ctx, db)
	start.done(ctx, "catalogue")
	return err
}

func (deps *dependencies) openRedis(ctx context.Context, cfg RedisConfig) (err error) {
	var rc redisconn.Config
	if cfg.embedded() {
		rc, err = deps.startRedis(ctx)
	} else {
		rc, err = cfg.connection()
	}
	if err != nil {
		return err
	}
	if deps.redis, err = redisconn.Connect(rc); err != nil {
		return err
	}
	deps.closers = append(deps.closers, func() error { deps.redis.Close(); return nil })
	return nil
}

// startRedis starts the embedded Redis.
func (deps *dependencies) startRedis(ctx context.Context) (redisconn.Config, error) {
	if err := deps.claimRedis(ctx); err != nil {
		return redisconn.Config{}, err
	}
	m := miniredis.NewMiniRedis()
	// Any user of the machine can connect to its port. The password exists in this process only.
	password := rand.Text()
	m.RequireAuth(password)
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return redisconn.Config{}, fmt.Errorf("start the embedded Redis: %w", err)
	}
	deps.closers = append(deps.closers, func() error { m.Close(); return nil })
	deps.keepTime(m)
	return redisconn.Config{Addr: m.Addr(), Password: password, Embedded: true}, nil
}

// keepTime lets keys expire: the embedded Redis has no clock of its own.
func (deps *dependencies) keepTime(m *miniredis.Miniredis) {
	stop := make(chan struct{})
	deps.background.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				m.FastForward(time.Second)
			}
		}
	})
	deps.closers = append(deps.closers, func() error { close(stop); return nil })
}
