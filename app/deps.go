package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// parts are what every role stands on: SQL, Redis, the epoch, and the policies. This package alone constructs them.
type parts struct {
	log      *slog.Logger
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

	background sync.WaitGroup
	closers    []func() error
}

// partition: there is one until Redis is a cluster.
const partition = 0

func openParts(ctx context.Context, sql SQLConfig, redis RedisConfig, orders OrderConfig, log *slog.Logger) (p *parts, err error) {
	p = &parts{log: log, policies: breaker.NewPolicies(breaker.DefaultPolicies()), progress: journal.NewProgress()}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if err := p.openSQL(ctx, sql); err != nil {
		return p, err
	}
	if err := p.openRedis(ctx, redis); err != nil {
		return p, err
	}
	recorded, err := store.NewStock(p.db).Durability(ctx, partition)
	if err != nil {
		return p, err
	}
	p.flush = workers.DefaultFlushConfig()
	p.flush.Partition, p.flush.Durability = partition, orders.durability(recorded, redis.embedded())
	p.flush.WithOrders = p.flush.Durability == store.DurabilitySQL
	p.keys = journal.Keys{Namespace: redis.Namespace, Partition: partition}
	hot := p.policies[breaker.Redis]
	p.journal = journal.New(p.keys, p.redis, p.policies[breaker.Journal])
	p.changes = journal.NewChanges(p.keys, p.redis, hot)
	inSQL := store.NewStock(p.db)
	p.epochs = journal.NewEpochs(journal.EpochsConfig{
		Keys: p.keys, Conn: p.redis, Store: inSQL, Drain: p.flusher().Drain, Rewind: stock.Rewind(p.keys), Durability: p.flush.Durability, Log: log,
	})
	p.stock = stock.New(p.keys, p.redis, p.epochs, inSQL, orders.limits(redis.embedded()), hot)
	err = p.firstEpoch(ctx)
	return p, err
}

func (p *parts) openSQL(ctx context.Context, cfg SQLConfig) error {
	db, err := store.Open(ctx, cfg.dsn())
	if err != nil {
		return err
	}
	p.db = db
	p.closers = append(p.closers, db.Close)
	db.Guard(p.policies[breaker.SQL])
	m := store.NewMigrator(db)
	if !cfg.embedded() {
		return m.Check(ctx)
	}
	if _, err := m.Up(ctx); err != nil {
		return err
	}
	_, err = seed(ctx, db)
	return err
}

func (p *parts) openRedis(ctx context.Context, cfg RedisConfig) error {
	rc := cfg.stock()
	if cfg.embedded() {
		if err := p.claimRedis(ctx); err != nil {
			return err
		}
		m := miniredis.NewMiniRedis()
		if err := m.StartAddr("127.0.0.1:0"); err != nil {
			return fmt.Errorf("start the embedded Redis: %w", err)
		}
		p.closers = append(p.closers, func() error { m.Close(); return nil })
		p.keepTime(m)
		rc = redisconn.Config{Addr: m.Addr(), Embedded: true}
	}
	r, err := redisconn.Connect(rc)
	if err != nil {
		return err
	}
	p.redis = r
	p.closers = append(p.closers, func() error { r.Close(); return nil })
	return nil
}

// keepTime lets keys expire: the embedded Redis has no clock of its own.
func (p *parts) keepTime(m *miniredis.Miniredis) {
	stop := make(chan struct{})
	p.background.Go(func() {
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
	p.closers = append(p.closers, func() error { close(stop); return nil })
}

// firstEpoch checks Redis once. One that may evict is refused, and so is a shop with another durability setting; a Redis that is
// unavailable is waited for in the background, while /readyz and every order say so.
func (p *parts) firstEpoch(ctx context.Context) error {
	err := p.epochs.Check(ctx)
	if errors.Is(err, redisconn.ErrEviction) || errors.Is(err, journal.ErrDurability) {
		return err
	}
	if err != nil {
		p.log.WarnContext(ctx, "no orders can be taken yet", "error", err)
	}
	return nil
}

// flusher makes a stock flusher: each goroutine needs its own.
func (p *parts) flusher() *workers.StockFlusher {
	return workers.NewStockFlusher(p.flush, p.journal, store.NewStock(p.db), p.progress, p.log).Distrusting(func(epoch int64) {
		p.epochs.Invalidate(epoch)
	})
}

// goes runs f in the background until its context ends; close waits for it.
func (p *parts) goes(ctx context.Context, f func(ctx context.Context)) {
	p.background.Go(func() { f(ctx) })
}

// close lets everything go, what was opened last first. The contexts of the background must have ended.
func (p *parts) close() error {
	var errs []error
	stopFirst := p.closers
	for i := len(stopFirst) - 1; i >= 0; i-- {
		errs = append(errs, stopFirst[i]())
	}
	p.background.Wait()
	return errors.Join(errs...)
}

// ready says of each part whether it works.
func (p *parts) ready() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"sql":   p.db.Ping,
		"stock": func(context.Context) error { _, err := p.epochs.Current(); return err },
	}
}
