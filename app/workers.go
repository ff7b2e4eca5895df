package app

import (
	"context"
	"slices"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// The names of the workers.
const (
	workerFlusher = "stock-flusher"
	workerRelay   = "order-relay"
	workerWriter  = "order-writer"
	workerShipper = "shipper"
	workerMailer  = "mailer"

	workerReconciler = "payment-reconciler"
	workerCanceller  = "cancellation-finisher"
	workerRefunds    = "refund-retrier"
	workerLost       = "lost-orders"
	workerRepairer   = "order-repairer"
	workerRescuer    = "ship-rescuer"
	workerDispatcher = "mail-dispatcher"
	workerDrain      = "dead-letter-drain"
)

// WorkerNames lists the workers, in the order of an order's path.
func WorkerNames() []string { return slices.Clone(workerNames) }

var workerNames = []string{
	workerFlusher, workerRelay, workerWriter, workerShipper, workerMailer,
	workerReconciler, workerCanceller, workerRefunds, workerLost, workerRescuer, workerRepairer, workerDispatcher, workerDrain,
}

// newWorkers makes the workers of the role: first those on an order's path, in its order, because that is how they are drained.
func newWorkers(ctx context.Context, deps *dependencies, a *api, c Config) (out workerSet, err error) {
	if slices.Contains(c.Workers, workerFlusher) {
		f := deps.flusher().WithPace(deps.linger(c.Drain.FlushLinger))
		out = append(out, worker{name: workerFlusher, runner: f})
	}
	if slices.ContainsFunc(c.Workers, func(w string) bool { return slices.Contains(queueWorkers, w) }) {
		if out, err = addQueueWorkers(ctx, deps, a, c, out); err != nil {
			return nil, err
		}
	}
	return append(out, sqlWorkers(deps, a, c)...), nil
}

// queueWorkers are those that need the queue.
var queueWorkers = []string{workerRelay, workerWriter, workerShipper, workerMailer, workerDrain}

func addQueueWorkers(ctx context.Context, deps *dependencies, a *api, c Config, out workerSet) (workerSet, error) {
	broker, err := deps.openBroker(ctx, c)
	if err != nil {
		return nil, err
	}
	if slices.Contains(c.Workers, workerRelay) {
		producer, err := broker.Producer()
		if err != nil {
			return nil, err
		}
		relay := workers.NewOrderRelay(
			c.Drain.relay(
				c.Queue.Topic,
				consumerName(),
				c.Orders.limits(c.Redis.embedded()).JournalMax,
				c.Redis.embedded(),
			),
			deps.journal,
			store.NewStock(deps.db),
			deps.snapshots(),
			producer,
			store.NewDeadLetters(deps.db),
			deps.log,
		).WithPace(deps.linger(c.Drain.RelayLinger)).WithRows(store.NewOrders(deps.db))
		if slices.Contains(c.Workers, workerFlusher) {
			relay.WithProgress(deps.progress)
		}
		out = append(out, worker{name: workerRelay, runner: relay})
	}
	return addConsumers(deps, a, c, broker, out)
}

// mailYield lets mails wait for the order path of this process.
func mailYield(deps *dependencies, c Config) workers.MailYield {
	return workers.MailYield{Activity: deps.activity, Max: c.External.Mail.Yield}
}

// sqlWorkers go on where the others stopped: they look at SQL for what is due, and for what went wrong. The rescuer comes first: an order that it ships makes a
// mail due, which the dispatcher sends.
func sqlWorkers(deps *dependencies, a *api, c Config) (out workerSet) {
	orders, cancellations := store.NewOrders(deps.db), store.NewCancellations(deps.db)
	for _, w := range []struct {
		name string
		make func() runner
	}{
		{workerRescuer, func() runner {
			return workers.NewShipRescuer(workers.DefaultRescueConfig(), deps.measured.RescueStore(orders), a.carrier, deps.log).
				WithPublisher(deps.changes).WithUnqueued(deps.inSQLMode)
		}},
		{workerDispatcher, func() runner {
			return workers.NewMailDispatcher(workers.DefaultDispatchConfig(), store.NewMails(deps.db), orders, a.mail, deps.log).WithYield(mailYield(deps, c))
		}},
		{workerReconciler, func() runner {
			cfg := workers.DefaultReconcileConfig()
			cfg.After = c.Orders.ReconcileAfter
			return workers.NewPaymentReconciler(cfg, orders, cancellations, a.payments, deps.stock, deps.log)
		}},
		{workerCanceller, func() runner { return workers.NewCancellationFinisher(cancellations, a.payments, deps.stock, deps.log) }},
		{workerRefunds, func() runner {
			client := payment.Client{Service: a.payments.Service, Policy: deps.policies[breaker.Refund]}
			return workers.NewRefundRetrier(a.ledger, client, deps.log)
		}},
		{workerLost, func() runner {
			cfg := workers.DefaultLostConfig()
			cfg.After, cfg.Partition = c.Orders.LostAfter, partition
			return workers.NewLostOrders(cfg, store.NewStock(deps.db), a.ledger, deps.stock, deps.journal, cancellations, deps.log)
		}},
		{workerRepairer, func() runner { return newRepairer(deps, a, c) }},
	} {
		if slices.Contains(c.Workers, w.name) {
			out = append(out, worker{name: w.name, runner: w.make(), repairs: w.name != workerDispatcher})
		}
	}
	return out
}
