package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/telemetry"
)

const scope = "github.com/spillway/spillway/app"

// observeTimeout bounds one reading of Redis or SQL for a scrape. The gauges of a dependency that does not respond are absent.
const observeTimeout = 2 * time.Second

// gauges are read at each scrape or export, in every process, so that they are there although a worker is not. The readings for reports
// of package pipeline leave out those of Redis and SQL.
type gauges struct {
	lag, entries, letters, breaker, epoch, mode metric.Int64ObservableGauge
}

// breakerStates are the values of the gauge spillway.breaker.state.
var breakerStates = map[string]int64{"closed": 0, "half-open": 1, "open": 2}

// epochModes are the values of the gauge spillway.epoch.mode.
var epochModes = map[journal.Mode]int64{journal.ModeRedis: 1, journal.ModeSQL: 2}

func newGauges(meter metric.Meter) (g gauges, err error) {
	var errs [6]error
	g.lag, errs[0] = meter.Int64ObservableGauge("app.forwarder.lag_ms", metric.WithUnit("{milliseconds}"),
		metric.WithDescription("Age of the oldest journal entry that is not relayed to the queue; 0 if there is none."))
	g.entries, errs[1] = meter.Int64ObservableGauge("spillway.journal.entries", metric.WithUnit("{entries}"),
		metric.WithDescription("Entries in the journals of all epochs, with those that were sent and are kept for 10 s. Above a bound, orders are refused."))
	g.letters, errs[2] = meter.Int64ObservableGauge("spillway.dead_letters.open", metric.WithUnit("{dead_letters}"),
		metric.WithDescription("Dead letters that wait for an operator, by source."))
	g.breaker, errs[3] = meter.Int64ObservableGauge("spillway.breaker.state", metric.WithUnit("{state}"),
		metric.WithDescription("State of a circuit breaker of this process: 0 closed, 1 half-open, 2 open."))
	g.epoch, errs[4] = meter.Int64ObservableGauge("spillway.epoch.number", metric.WithUnit("{epoch}"),
		metric.WithDescription("The open epoch; 0 while this process has none, and takes no orders."))
	g.mode, errs[5] = meter.Int64ObservableGauge("spillway.epoch.mode", metric.WithUnit("{mode}"),
		metric.WithDescription("Where this process reserves stock: 1 in Redis, 2 in SQL because Redis is unavailable, 0 nowhere."))
	return g, errors.Join(errs[:]...)
}

// observe registers the gauges. The returned function ends that.
func (deps *dependencies) observe() (stop func() error, err error) {
	meter := otel.Meter(scope)
	g, err := newGauges(meter)
	if err != nil {
		return nil, err
	}
	registered, err := meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, observeTimeout)
		defer cancel()
		deps.observeProcess(o, g)
		if telemetry.IsLocal(ctx) {
			return nil
		}
		return deps.observeStorage(ctx, o, g)
	}, g.lag, g.entries, g.letters, g.breaker, g.epoch, g.mode)
	if err != nil {
		return nil, err
	}
	return registered.Unregister, nil
}

func (deps *dependencies) observeProcess(o metric.Observer, g gauges) {
	for name, state := range deps.policies.States() {
		o.ObserveInt64(g.breaker, breakerStates[state], metric.WithAttributes(attribute.String("breaker", name)))
	}
	if deps.epochs != nil {
		e := deps.epoch()
		o.ObserveInt64(g.epoch, e.Number)
		o.ObserveInt64(g.mode, epochModes[e.Mode])
	}
}

// observeStorage observes what the process has of the journal and of SQL.
func (deps *dependencies) observeStorage(ctx context.Context, o metric.Observer, g gauges) error {
	var errs []error
	if deps.journal != nil {
		errs = append(errs, observeJournal(ctx, o, g, deps.journal, time.Now()))
	}
	if deps.db != nil {
		errs = append(errs, observeDeadLetters(ctx, o, g, store.NewDeadLetters(deps.db)))
	}
	return errors.Join(errs...)
}

func observeJournal(ctx context.Context, o metric.Observer, g gauges, j *journal.Journal, now time.Time) error {
	b, err := j.Backlog(ctx)
	if err != nil {
		return fmt.Errorf("measure the journal: %w", err)
	}
	var lag int64
	if !b.Oldest.IsZero() {
		lag = max(0, now.Sub(b.Oldest).Milliseconds()) // Redis' clock may be ahead.
	}
	o.ObserveInt64(g.lag, lag)
	o.ObserveInt64(g.entries, b.Entries)
	return nil
}

// observeDeadLetters observes each source that has open ones, and 0 without a source if there is none at all.
func observeDeadLetters(ctx context.Context, o metric.Observer, g gauges, letters *store.DeadLetters) error {
	open, err := letters.CountOpen(ctx)
	if err != nil {
		return err
	}
	if len(open) == 0 {
		o.ObserveInt64(g.letters, 0, metric.WithAttributes(attribute.String("source", "none")))
	}
	for source, n := range open {
		o.ObserveInt64(g.letters, n, metric.WithAttributes(attribute.String("source", source)))
	}
	return nil
}
