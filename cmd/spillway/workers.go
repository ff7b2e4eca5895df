package main

import (
	"context"
	"slices"

	"github.com/spillway/spillway/gateway"
	"github.com/spillway/spillway/queue"
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
	workerLost       = "lost-orders"
	workerRescuer    = "ship-rescuer"
	workerDispatcher = "mail-dispatcher"
	workerDrain      = "dead-letter-drain"
)

var workerNames = []string{
	workerFlusher, workerRelay, workerWriter, workerShipper, workerMailer,
	workerReconciler, workerCanceller, workerLost, workerRescuer, workerDispatcher, workerDrain,
}

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
