package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/pause"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/sqlmode"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// dependencies are shared by the services and workers of a process: SQL, Redis, the journal, the epochs, and the policies. Those that the process
// does not need are nil.
type dependencies struct {
	log      *slog.Logger
	needs    needs
	policies breaker.Policies
	db       *store.DB
	redis    *redisconn.Conn
	keys     journal.Keys
	epochs   *journal.Epochs
	stock    *stock.Stock
	journal  *journal.Journal
	changes  *journal.Changes
	progress *journal.Progress
	flush    workers.FlushConfig
	// measured measures the workers of the process.
	measured *workers.Metrics
	// activity is that of the order path, for which less urgent workers wait.
	activity *workers.Activity
	// load is that of the API, and yield lets the order path wait for it; yield is nil if it does not.
	load  *server.CheckoutLoad
	yield *workers.Yield

	background sync.WaitGroup
	closers    []func() error
}

// partition: there is one until Redis is a cluster.
const partition = 0

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

// firstEpoch checks Redis once. One that may evict is refused, as is one without replicas if they are needed, one that refuses this process, and a
// shop with another durability setting or in another Redis; a Redis that is unavailable is waited for in the background, while /readyz and every order say so.
func (deps *dependencies) firstEpoch(ctx context.Context) error {
	err := deps.checkEpoch(ctx)
	if refused := redisconn.Refused(err); refused != nil {
		return fmt.Errorf("%w: %s", err, redisAdvice(refused))
	}
	if errors.Is(err, redisconn.ErrEviction) || errors.Is(err, redisconn.ErrReplicas) || errors.Is(err, journal.ErrDurability) ||
		errors.Is(err, journal.ErrElsewhere) {
		return err
	}
	if err != nil {
		deps.log.WarnContext(ctx, "no orders can be taken yet", "error", err)
	}
	return nil
}

// undecidedPause is the time between two checks while it is not known whether other processes use the open epoch. journal bounds how long that lasts.
const undecidedPause = 500 * time.Millisecond

// checkEpoch checks the epoch, until it is known whether other processes use it elsewhere.
func (deps *dependencies) checkEpoch(ctx context.Context) error {
	for logged := false; ; logged = true {
		err := deps.epochs.Check(ctx)
		if !errors.Is(err, journal.ErrUndecided) {
			return err
		}
		if !logged {
			deps.log.WarnContext(ctx, "the start is delayed", "error", err)
		}
		if err := pause.For(ctx, undecidedPause); err != nil {
			return err
		}
	}
}

// mode is where stock is reserved; empty while no epoch is open.
func (deps *dependencies) mode() string {
	return string(deps.epoch().Mode)
}

// epoch is the open epoch; the zero Epoch without one.
func (deps *dependencies) epoch() journal.Epoch {
	if deps.epochs == nil {
		return journal.Epoch{}
	}
	e, err := deps.epochs.Current()
	if err != nil {
		return journal.Epoch{}
	}
	return e
}

// inSQLMode reports whether orders are taken in SQL, because Redis is unavailable.
func (deps *dependencies) inSQLMode() bool {
	return deps.mode() == string(journal.ModeSQL)
}

// flusher makes a stock flusher: each goroutine needs its own.
func (deps *dependencies) flusher() *workers.StockFlusher {
	f := workers.NewStockFlusher(deps.flush, deps.journal, deps.measured.FlushStore(store.NewStock(deps.db)), deps.snapshots(), deps.progress, deps.log)
	return f.OnInconsistency(func(epoch int64) {
		deps.epochs.Invalidate(epoch)
	})
}

// snapshots are the places of the orders that journal entries do not carry.
func (deps *dependencies) snapshots() workers.SnapshotSources {
	return workers.SnapshotSources{
		Hot: stock.NewSnapshots(deps.keys, deps.redis, deps.policies[breaker.Journal]), Rows: store.NewOrders(deps.db),
	}
}

// linger is the pace of the flusher and the relay. They linger only if no response waits for their batches, and do not yield to requests: they
// take little, and make an order durable.
func (deps *dependencies) linger(linger time.Duration) workers.Pace {
	if deps.flush.Durability == store.DurabilitySQL {
		linger = 0
	}
	return workers.Pace{Linger: linger, Activity: deps.activity}
}

// pace is that of the writer and the shipper.
func (deps *dependencies) pace() workers.Pace {
	return workers.Pace{Yield: deps.yield, Activity: deps.activity}
}

// goBackground runs f in the background until its context ends; close waits for it.
func (deps *dependencies) goBackground(ctx context.Context, f func(ctx context.Context)) {
	deps.background.Go(func() { f(ctx) })
}

// close closes everything, what was opened last first. The contexts of the background must have ended.
func (deps *dependencies) close() error {
	var errs []error
	for i := len(deps.closers) - 1; i >= 0; i-- {
		errs = append(errs, deps.closers[i]())
	}
	deps.background.Wait()
	return errors.Join(errs...)
}

// ready has a check of each dependency for /readyz. Services behind URLs are none: one that is down must not make those unready that call it.
func (deps *dependencies) ready() map[string]func(context.Context) error {
	out := map[string]func(context.Context) error{}
	if deps.db != nil {
		out["sql"] = deps.db.Ping
	}
	if deps.epochs != nil {
		out["stock"] = func(context.Context) error { _, err := deps.epochs.Current(); return err }
	}
	return out
}
