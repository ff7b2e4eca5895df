package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/gateway"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
)

// redisCounters lets the audit read the counters of a Redis that this process may use.
type redisCounters struct {
	redis *stock.Redis
	keys  stock.Keys
}

// Counters reads the counters of the epoch.
func (c redisCounters) Counters(ctx context.Context, epoch int64) (audit.CounterState, error) {
	s, err := stock.ReadCounters(ctx, c.redis, c.keys, epoch)
	return audit.CounterState{Epoch: s.Epoch, LastID: s.LastID, Units: s.Units}, err
}

// anyRedisCounters is redisCounters on whichever instance answers: an audit reads only, and compares what it finds.
type anyRedisCounters struct{ redisCounters }

// Counters reads the counters of the epoch.
func (c anyRedisCounters) Counters(ctx context.Context, epoch int64) (audit.CounterState, error) {
	instance, err := c.redis.Instance(ctx)
	if err != nil {
		return audit.CounterState{}, fmt.Errorf("--redis: %w: %w", order.ErrUnavailable, err)
	}
	c.redis.Allow(instance)
	return c.redisCounters.Counters(ctx, epoch)
}

// providerStatement lets the audit read what a payment provider did.
type providerStatement struct{ source gateway.Statement }

// Statement lists orders after the given one.
func (p providerStatement) Statement(ctx context.Context, after order.ID, limit int) ([]audit.StatementLine, error) {
	lines, err := p.source.Statement(ctx, after, limit)
	out := make([]audit.StatementLine, len(lines))
	for i, l := range lines {
		out[i] = audit.StatementLine{OrderID: l.OrderID, Taken: l.Succeeded, Amount: l.Amount, Returned: l.Returned}
	}
	return out, err
}

// auditedProvider is the provider as the audit asks it. A simulated one without a file forgets when its process ends, and does not
// know what others did: it cannot be compared with the ledger.
func auditedProvider(file string, p gateway.Statement) audit.Provider {
	if file == "" {
		return nil
	}
	return providerStatement{p}
}

// outside opens what the audit reads beside SQL. The caller calls close.
func (c *auditCmd) outside() (o audit.Options, closeAll func() error, err error) {
	var closers []func() error
	closeAll = func() error {
		var errs []error
		for _, f := range closers {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	if c.Drained && !c.Redis.embedded() {
		r, err := stock.Connect(c.Redis.stock())
		if err != nil {
			return o, closeAll, err
		}
		closers = append(closers, func() error { r.Close(); return nil })
		o.Counters = anyRedisCounters{redisCounters{r, stock.Keys{Namespace: c.Redis.Namespace, Partition: partition}}}
	}
	if c.ProviderFile != "" {
		p, err := gateway.NewSimulatedIn(c.ProviderFile)
		if err != nil {
			return o, closeAll, err
		}
		closers = append(closers, p.Close)
		o.Provider = auditedProvider(c.ProviderFile, p)
	}
	return o, closeAll, nil
}

// validateOutside checks the flags of what is read beside SQL. Opening a provider's file that is not there would make an empty one.
func (c *auditCmd) validateOutside() error {
	err := c.Redis.validate()
	if c.ProviderFile != "" {
		if _, serr := os.Stat(c.ProviderFile); serr != nil {
			err = errors.Join(err, fmt.Errorf("--simulate-provider-file %s: %w", c.ProviderFile, serr))
		}
	}
	return err
}
