package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/gateway"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

type allCmd struct {
	HTTP   httpConfig  `embed:"" group:"API"`
	SQL    sqlConfig   `embed:"" group:"SQL"`
	Redis  redisConfig `embed:"" group:"Redis"`
	Queue  queueConfig `embed:"" group:"Queue"`
	Orders orderConfig `embed:"" group:"Orders"`
	Key    keyConfig   `embed:"" group:"API"`

	Outside outsideConfig `embed:""`
}

// Run runs everything.
func (c *allCmd) Run(ctx context.Context, log *slog.Logger) error {
	if err := errors.Join(c.HTTP.validate(), c.SQL.validate(), c.Redis.validate(), c.Queue.validate(), c.Orders.validate(), c.Outside.validate()); err != nil {
		return err
	}
	return runRole(ctx, log, role{
		http: &c.HTTP, sql: c.SQL, redis: c.Redis, queue: c.Queue, orders: c.Orders, key: c.Key, outside: c.Outside, workers: workerNames,
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

// Run runs the API. With durability sql it flushes by itself, because its answers wait for that.
func (c *serveCmd) Run(ctx context.Context, log *slog.Logger) error {
	errs := []error{c.HTTP.validate(), c.SQL.validate(), c.Redis.validate(), c.Orders.validate(), c.Outside.validate()}
	if c.SQL.embedded() || c.Redis.embedded() {
		errs = append(errs, errReal)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	r := role{http: &c.HTTP, sql: c.SQL, redis: c.Redis, orders: c.Orders, key: c.Key, outside: c.Outside}
	if c.Orders.sqlDurable(false) {
		r.workers = []string{workerFlusher}
	}
	return runRole(ctx, log, r)
}

type workCmd struct {
	Workers []string    `name:"workers" default:"${workers}" enum:"${workers}" help:"Which workers to run: ${enum}. Several processes may run the same."`
	SQL     sqlConfig   `embed:"" group:"SQL"`
	Redis   redisConfig `embed:"" group:"Redis"`
	Queue   queueConfig `embed:"" group:"Queue"`
	Orders  orderConfig `embed:"" group:"Orders"`

	Outside outsideConfig `embed:""`
}

// Run runs workers.
func (c *workCmd) Run(ctx context.Context, log *slog.Logger) error {
	errs := []error{c.SQL.validate(), c.Redis.validate(), c.Queue.validate(), c.Orders.validate(), c.Outside.validate()}
	if c.SQL.embedded() || c.Redis.embedded() {
		errs = append(errs, errReal)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return runRole(ctx, log, role{sql: c.SQL, redis: c.Redis, queue: c.Queue, orders: c.Orders, outside: c.Outside, workers: c.Workers})
}

// The names of the workers.
const (
	workerFlusher = "stock-flusher"
	workerRelay   = "order-relay"
	workerWriter  = "order-writer"
	workerShipper = "shipper"
	workerMailer  = "mailer"

	workerReconciler = "payment-reconciler"
	workerCanceller  = "cancellation-finisher"
	workerLost       = "lost-orders"
	workerRescuer    = "ship-rescuer"
	workerDispatcher = "mail-dispatcher"
	workerDrain      = "dead-letter-drain"
)

var workerNames = []string{
	workerFlusher, workerRelay, workerWriter, workerShipper, workerMailer,
	workerReconciler, workerCanceller, workerLost, workerRescuer, workerDispatcher, workerDrain,
}

// role is what one process runs.
type role struct {
	http    *httpConfig // nil: no API
	sql     sqlConfig
	redis   redisConfig
	queue   queueConfig
	orders  orderConfig
	key     keyConfig
	outside outsideConfig
	workers []string
}

// runRole runs the role until ctx ends. Then it stops taking requests and answers those under way; on embedded storage, which
// ends with the process, the workers finish what is in the journal and the queue before it returns.
func runRole(ctx context.Context, log *slog.Logger, r role) (err error) {
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
	turns, err := newWorkers(p, a, r)
	if err != nil {
		return err
	}
	p.goes(work, p.epochs.Run)
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
		if r.redis.embedded() {
			cfg.InFlight = embeddedInFlight
		}
		err = r.serve(ctx, log, p, a, cfg)
	}
	stopLoops()
	running.Wait()
	if embedded {
		err = errors.Join(err, turns.drain(work, r.http.Drain, log))
	}
	return err
}

func (r role) serve(ctx context.Context, log *slog.Logger, p *parts, a *api, cfg server.Config) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.http.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	durability := "journal"
	if p.flush.WithOrders {
		durability = "sql"
	}
	log.InfoContext(ctx, "taking orders", "url", "http://"+l.Addr().String(), "durability", durability, "sql", p.db.Dialect())
	err = server.Serve(ctx, l, server.NewHandler(cfg, a.services), r.http.Drain, log)
	log.InfoContext(ctx, "no requests are taken any more; every accepted one was answered", "error", err)
	return err
}

// turn is one worker: a name and what it does once.
type turn struct {
	name string
	run  func(ctx context.Context)
	once func(ctx context.Context) (int, error)
	// repairs says that it looks for what went wrong, and is never at its end.
	repairs bool
}

type turns []turn

// newWorkers makes the workers of the role.
func newWorkers(p *parts, a *api, r role) (turns, error) {
	var out turns
	add := func(name string, run func(context.Context), once func(context.Context) (int, error)) {
		out = append(out, turn{name: name, run: run, once: once})
	}
	if slices.Contains(r.workers, workerFlusher) {
		f := p.flusher()
		add(workerFlusher, f.Run, f.RunOnce)
	}
	out = append(out, repairers(p, a, r)...)
	if !slices.ContainsFunc(r.workers, func(w string) bool { return slices.Contains(queueWorkers, w) }) {
		return addPollers(p, a, r, out), nil
	}
	broker, err := openQueue(r.queue, p.redis, r.redis.Namespace, p.log)
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, closeQueue(broker))
	broker = queue.Guard(broker, p.policies[gateway.Queue], p.policies[gateway.QueueReceive])
	if slices.Contains(r.workers, workerRelay) {
		producer, err := broker.Producer()
		if err != nil {
			return nil, err
		}
		relay := workers.NewOrderRelay(workers.DefaultRelayConfig(r.queue.Topic, consumerName()), p.journal, store.NewStock(p.db), producer, p.log)
		add(workerRelay, relay.Run, relay.RunOnce)
	}
	if out, err = addConsumers(p, a, r, broker, out); err != nil {
		return nil, err
	}
	return addPollers(p, a, r, out), nil
}

// addPollers adds the workers that go on where the consumers stopped, from SQL: they come after them in a drain.
func addPollers(p *parts, a *api, r role, out turns) turns {
	orders := store.NewOrders(p.db)
	if slices.Contains(r.workers, workerRescuer) {
		w := workers.NewShipRescuer(workers.DefaultRescueConfig(), orders, a.carrier, p.log).Announcing(p.changes)
		out = append(out, turn{workerRescuer, w.Run, w.RunOnce, true})
	}
	if slices.Contains(r.workers, workerDispatcher) {
		w := workers.NewMailDispatcher(workers.DefaultDispatchConfig(), store.NewMails(p.db), orders, a.mail, p.log)
		out = append(out, turn{name: workerDispatcher, run: w.Run, once: w.RunOnce})
	}
	return out
}

// embeddedInFlight bounds the requests that are served at once on the embedded Redis, which runs a few hundred orders a second: more
// would wait for it for longer than its calls may take, and fail instead of being told to come again.
const embeddedInFlight = 128

// queueWorkers are those that need the queue.
var queueWorkers = []string{workerRelay, workerWriter, workerShipper, workerMailer, workerDrain}

// repairers makes the workers that look at SQL for what went wrong.
func repairers(p *parts, a *api, r role) turns {
	orders, intents, books := store.NewOrders(p.db), store.NewCancellations(p.db), store.NewStock(p.db)
	reconcile, lost := workers.DefaultReconcileConfig(), workers.DefaultLostConfig()
	reconcile.After, lost.After, lost.Partition = r.orders.ReconcileAfter, r.orders.LostAfter, partition
	reconciler := workers.NewPaymentReconciler(reconcile, orders, intents, a.payments, p.stock, p.log)
	finisher := workers.NewCancellationFinisher(intents, a.payments, p.stock, p.log)
	finder := workers.NewLostOrders(lost, books, a.ledger, p.stock, p.journal, intents, p.log)
	all := turns{
		{workerReconciler, reconciler.Run, reconciler.RunOnce, true},
		{workerCanceller, finisher.Run, finisher.RunOnce, true},
		{workerLost, finder.Run, finder.RunOnce, true},
	}
	return slices.DeleteFunc(all, func(t turn) bool { return !slices.Contains(r.workers, t.name) })
}

func addConsumers(p *parts, a *api, r role, broker queue.Broker, out turns) (turns, error) {
	orders, dead := store.NewOrders(p.db), store.NewDeadLetters(p.db)
	for _, w := range []struct {
		name, group string
		make        func(c queue.Consumer) turn
	}{
		{workerWriter, groupOrders, func(c queue.Consumer) turn {
			w := workers.NewOrderWriter(workers.DefaultWriterConfig(), c, orders, dead, p.stock, workers.NewDuplicates(p.stock, a.payments), p.log)
			return turn{name: workerWriter, run: w.Run, once: w.RunOnce}
		}},
		{workerShipper, groupShipping, func(c queue.Consumer) turn {
			s := workers.NewShipper(workers.DefaultShipConfig(), c, orders, dead, a.carrier, p.log).Announcing(p.changes)
			return turn{name: workerShipper, run: s.Run, once: s.RunOnce}
		}},
		{workerMailer, groupMail, func(c queue.Consumer) turn {
			m := workers.NewMailer(workers.DefaultMailConfig(), c, dead, a.mail, p.log)
			return turn{name: workerMailer, run: m.Run, once: m.RunOnce}
		}},
	} {
		if !slices.Contains(r.workers, w.name) {
			continue
		}
		c, err := broker.Consumer(r.queue.Topic, w.group)
		if err != nil {
			return nil, err
		}
		out = append(out, w.make(c))
	}
	if !slices.Contains(r.workers, workerDrain) {
		return out, nil
	}
	return addDrains(p, broker, dead, out)
}

// addDrains drains what the broker gives up, if it does that at all: a loop for each group.
func addDrains(p *parts, broker queue.Broker, dead *store.DeadLetters, out turns) (turns, error) {
	if !broker.Features().GivesUp {
		return out, nil
	}
	for _, group := range []string{groupOrders, groupShipping, groupMail} {
		c, err := broker.Consumer(broker.Features().DeadLetterPrefix+group, groupDrain)
		if err != nil {
			return nil, err
		}
		d := workers.NewDeadLetterDrain(workers.DefaultDrainConfig(group), c, dead, p.log)
		out = append(out, turn{name: workerDrain, run: d.Run, once: d.RunOnce})
	}
	return out, nil
}

// consumerName names this process among the relays.
func consumerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	return host + "-" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
}
