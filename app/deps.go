package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/pause"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/server"
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
