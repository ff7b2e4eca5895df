package app

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

// redisCounters lets the audit read the counters of a Redis that this process may use.
type redisCounters struct {
	redis *redisconn.Conn
	keys  journal.Keys
}

// Counters reads the counters of the epoch.
func (c redisCounters) Counters(ctx context.Context, epoch int64) (audit.CounterState, error) {
	s, err := stock.ReadCounters(ctx, c.redis, c.keys, epoch)
	return audit.CounterState{Epoch: s.Epoch, LastID: s.LastID, Units: s.Units}, err
}

// anyRedisCounters is redisCounters on any instance: an audit only reads, and compares.
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
type providerStatement struct{ source payment.Statement }

// Statement lists orders after the given one.
func (p providerStatement) Statement(ctx context.Context, after order.ID, limit int) ([]audit.StatementLine, error) {
	lines, err := p.source.Statement(ctx, after, limit)
	out := make([]audit.StatementLine, len(lines))
	for i, l := range lines {
		out[i] = audit.StatementLine{OrderID: l.OrderID, Taken: l.Succeeded, Amount: l.Amount, Returned: l.Returned}
	}
	return out, err
}

// auditedProvider is the provider as the audit reads it. A simulated one without a file forgets when its process ends, and does not
// know what others did: it cannot be compared with the ledger.
func auditedProvider(file string, p payment.Statement) audit.Provider {
	if file == "" {
		return nil
	}
	return providerStatement{p}
}
