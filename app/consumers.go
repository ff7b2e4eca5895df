package app

import (
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

func addConsumers(deps *dependencies, a *api, c Config, broker queue.Broker, out workerSet) (workerSet, error) {
	orders, dead := store.NewOrders(deps.db), store.NewDeadLetters(deps.db)
	for _, w := range []struct {
		name, group string
		parallel    int
		make        func(in queue.Consumer) worker
	}{
		{workerWriter, groupOrders, c.Drain.Writers, func(in queue.Consumer) worker {
			w := workers.NewOrderWriter(c.Drain.writer(), in, deps.measured.OrderStore(orders), dead, deps.stock, workers.NewDuplicateCanceller(deps.stock, a.payments), deps.log)
			w.WithPace(deps.pace())
			return worker{name: workerWriter, runner: w}
		}},
		{workerShipper, groupShipping, c.Drain.Shippers, func(in queue.Consumer) worker {
			s := workers.NewShipper(c.Drain.ship(), in, deps.measured.ShipStore(orders, workers.ShippedNormally), dead, a.carrier, deps.log).WithPublisher(deps.changes).WithPace(deps.pace())
			return worker{name: workerShipper, runner: s}
		}},
		{workerMailer, groupMail, 1, func(in queue.Consumer) worker {
			m := workers.NewMailer(workers.DefaultMailConfig(), in, store.NewMails(deps.db), dead, a.mail, deps.log).WithYield(mailYield(deps, c))
			return worker{name: workerMailer, runner: m}
		}},
	} {
		if !slices.Contains(c.Workers, w.name) {
			continue
		}
		consumer, err := broker.Consumer(c.Queue.Topic, w.group)
		if err != nil {
			return nil, err
		}
		for range w.parallel {
			out = append(out, w.make(consumer))
		}
	}
	if !slices.Contains(c.Workers, workerDrain) {
		return out, nil
	}
	return addDrains(deps, broker, dead, out)
}

// addDrains drains what the broker gives up, if it does that at all: a loop for each group.
func addDrains(deps *dependencies, broker queue.Broker, dead *store.DeadLetters, out workerSet) (workerSet, error) {
	if !broker.Features().DeadLetters {
		return out, nil
	}
	for _, group := range []string{groupOrders, groupShipping, groupMail} {
		c, err := broker.Consumer(broker.Features().DeadLetterPrefix+group, groupDrain)
		if err != nil {
			return nil, err
		}
		d := workers.NewDeadLetterDrain(workers.DefaultDrainConfig(group), c, dead, deps.log)
		out = append(out, worker{name: workerDrain, runner: d})
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
