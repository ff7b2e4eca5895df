package stock

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// reserveCall is a reservation in an epoch.
type reserveCall struct {
	names *epochNames
	Request
}

func (c reserveCall) sharesCall(with reserveCall) bool { return c.names.isOf(with.names.of) }
func (c reserveCall) lines() int                       { return len(c.Demand) }

// settleCall is the payment of an order in an epoch.
type settleCall struct {
	names           *epochNames
	id              order.ID
	chargeID, trace string
}

func (c settleCall) sharesCall(with settleCall) bool { return c.names.isOf(with.names.of) }
func (settleCall) lines() int                        { return 1 }

// scriptArgs are the keys and arguments of a call. Their memory is used again by the next one.
type scriptArgs struct{ keys, args []string }

func (s *Stock) runReserves(calls []*batchCall[reserveCall]) {
	runScript(s, s.scripts.reserve, calls, func(calls []*batchCall[reserveCall]) *scriptArgs {
		a, n, l := &s.reserveArgs, calls[0].item.names, &s.limitArgs
		a.keys = append(a.keys[:0], n.epoch, n.journal, n.stock, n.unpaid[0], n.unpaid[1], n.unpaid[2])
		a.args = append(a.args[:0], n.number, n.replicationID, s.nowMS(), l.idempotencyTTL, l.journalMax, l.customerOrders, l.rateWindow,
			l.quantityMax, l.unitsWindow, s.unpaidUntil(), l.unpaidOrders, l.unpaidPercent, l.unpaidTotal)
		for _, c := range calls {
			r := &c.item.Request
			a.keys = append(a.keys, s.keys.Order(r.OrderID), s.keys.Idempotency(r.Customer, r.Key), s.keys.Rate(r.Customer), s.keys.Bought(r.Customer),
				s.keys.Claimed(r.Customer))
			a.args = append(a.args, string(r.OrderID), rueidis.BinaryString(r.Fingerprint), formatDemand(r.Demand),
				rueidis.BinaryString(r.Snapshot), r.Trace, string(r.Customer), formatMaxUnits(r.MaxUnits), flag(r.PayLater))
		}
		return a
	})
}

func (s *Stock) runSettles(calls []*batchCall[settleCall]) {
	runScript(s, s.scripts.settle, calls, func(calls []*batchCall[settleCall]) *scriptArgs {
		a, n := &s.settleArgs, calls[0].item.names
		a.keys = append(a.keys[:0], n.epoch, n.journal, n.unpaid[0], n.unpaid[1], n.unpaid[2])
		a.args = append(a.args[:0], n.number, n.replicationID, s.nowMS())
		for _, c := range calls {
			a.keys = append(a.keys, s.keys.Order(c.item.id))
			a.args = append(a.args, string(c.item.id), c.item.chargeID, c.item.trace)
		}
		return a
	})
}

// runScript runs the script once for all calls. If the script fails, it runs it for each call alone: a key that the script cannot use, of one order,
// must not fail the others.
func runScript[T batchable[T]](s *Stock, script *rueidis.Lua, calls []*batchCall[T], build func([]*batchCall[T]) *scriptArgs) {
	a := build(calls)
	// No caller's context: the call serves all of them, and each bounds its own wait.
	r := script.Exec(s.timeout.Detach(context.Background(), s.limits.Timeout), s.conn.Client(), a.keys, a.args)
	clear(a.keys)
	clear(a.args)
	replies, err := r.ToArray()
	if _, failed := rueidis.IsRedisErr(err); failed && len(calls) > 1 {
		for i := range calls {
			runScript(s, script, calls[i:i+1], build)
		}
		return
	}
	for i, c := range calls {
		c.reply, c.err = replyOf(replies, err, i, len(calls))
	}
}

// replyOf returns the reply of the i-th of n orders.
func replyOf(replies []rueidis.RedisMessage, err error, i, n int) ([]string, error) {
	switch {
	case err != nil:
		return nil, err
	case len(replies) == n && replies[i].IsArray():
		return replies[i].AsStrSlice()
	case len(replies) == 1:
		name, err := replies[0].ToString()
		return []string{name}, err
	}
	return nil, fmt.Errorf("a script returned %d replies for %d orders", len(replies), n)
}

// inBatch runs a script for the item together with others, under the breaker. Each caller has its own permit and timeout, as if the call were
// its own. The outcome of a failed call is unknown.
func inBatch[T batchable[T]](ctx context.Context, s *Stock, b *batcher[T], item T) ([]string, error) {
	var reply []string
	var failure error
	sent := false
	err := s.guard(ctx, func(ctx context.Context) error {
		sent = true
		reply, failure = b.do(ctx, item)
		if _, ok := rueidis.IsRedisErr(failure); ok || errors.Is(failure, order.ErrOverloaded) {
			return nil
		}
		return failure
	})
	switch {
	case !sent:
		return nil, err
	case errors.Is(failure, order.ErrOverloaded):
		return nil, &order.RetryError{After: redisconn.RetryAfter, Err: failure}
	case failure != nil:
		return nil, s.failed(failure)
	}
	return reply, nil
}
