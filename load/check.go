package load

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// The rules of the client's own record.
const (
	// ruleExists: an order that was acknowledged to the client still exists.
	ruleExists = "acknowledged_order_exists"
	// ruleState: its state is the acknowledged one or a later one.
	ruleState = "state_never_goes_back"
	// ruleOneKey: one idempotency key is one order.
	ruleOneKey = "one_key_one_order"
	// ruleExpected: there are no more orders than calls that may have made one.
	ruleExpected = "no_unexpected_order"
	// ruleStock: no more units are sold than were in stock (only for a SKU that this load created).
	ruleStock = "no_oversell"
)

const (
	// maxViolations is the maximum number of listed violations; all are counted.
	maxViolations = 100
	// maxReplays is the maximum number of accepted orders that are sent a second time with the same key; of more orders
	// an even sample is replayed. Each replay is a request to a shop that is still shipping.
	maxReplays = 200
)

// check waits until the orders have settled, compares them with the record, and then runs the shop's own audit.
func (r *run) check(ctx context.Context, res *Result, progress *Progress) {
	b := r.settle(ctx, progress)
	r.shipped(res)
	if ctx.Err() != nil { // Not every buyer was read.
		res.notChecked("interrupted while the orders settled")
		return
	}
	progress.report("sending up to %d orders again with the same key", maxReplays)
	replayed, found, err := r.replay(ctx)
	violations := slices.Concat(r.record.duplicates, found, r.compare(b), r.oversold(b))
	res.Record = RecordCheck{Status: StatusOK, Orders: int64(len(r.record.orders)), Replayed: replayed, Violated: int64(len(violations))}
	for _, orders := range b.unexpected {
		res.Record.Unacknowledged += int64(len(orders))
	}
	res.Record.States = r.record.states()
	switch {
	case len(violations) > 0:
		res.Record.Status, res.Record.Violations = StatusViolated, violations[:min(len(violations), maxViolations)]
	case len(b.unread) > 0:
		res.Record.Status, res.Record.Note = StatusNotRun, fmt.Sprintf("the orders of %d buyers could not be read: %v", len(b.unread), anyOf(b.unread))
	case err != nil:
		res.Record.Status, res.Record.Note = StatusNotRun, fmt.Sprintf("sending orders again with the same key: %v", err)
	}
	res.Audit = r.audit(ctx, progress)
}

// anyOf returns one of the errors, or nil.
func anyOf(errs map[int32]error) error {
	for _, err := range errs {
		return err
	}
	return nil
}

// compare compares each order with what was acknowledged to the client.
func (r *run) compare(b *shopOrders) []Violation {
	var out []Violation
	for id, e := range r.record.orders {
		if b.unread[e.buyer] != nil {
			continue
		}
		if v, violated := e.violation(); violated {
			v.OrderID = id
			out = append(out, v)
		}
	}
	for who, orders := range b.unexpected {
		if more := len(orders) - r.record.unknown[who]; more > 0 {
			for id := range orders {
				out = append(out, Violation{Rule: ruleExpected, OrderID: id, Detail: fmt.Sprintf(
					"its buyer has %d orders that no response named, but only %d calls without a definite response", len(orders), r.record.unknown[who])})
			}
		}
	}
	slices.SortFunc(out, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.OrderID, b.OrderID))
	})
	return out
}

// violation returns the violated rule of the order, if any.
func (e *entry) violation() (Violation, bool) {
	const (
		none      = spillwayv1.OrderState_ORDER_STATE_UNSPECIFIED
		pending   = spillwayv1.OrderState_ORDER_STATE_PENDING
		cancelled = spillwayv1.OrderState_ORDER_STATE_CANCELLED
	)
	switch {
	case e.outcome == Declined && (e.state == none || e.state == cancelled):
		return Violation{}, false // The shop need not keep it.
	case e.state == none:
		return Violation{Rule: ruleExists, Detail: "it was answered as " + e.outcome.String() + " and is gone"}, true
	case e.outcome == Declined,
		e.outcome == Accepted && (e.state == pending || e.state == cancelled):
		return Violation{Rule: ruleState, Detail: "it was answered as " + e.outcome.String() + " and is now " + e.state.String()}, true
	}
	return Violation{}, false
}

// oversold counts the units of a SKU that only this load can have bought.
func (r *run) oversold(b *shopOrders) []Violation {
	if r.cfg.Stock == 0 {
		return nil
	}
	var sold int64
	for _, e := range r.record.orders {
		if e.outcome != Declined && e.state != spillwayv1.OrderState_ORDER_STATE_CANCELLED {
			sold += int64(e.visit.quantity)
		}
	}
	for _, orders := range b.unexpected {
		for _, o := range orders {
			for _, l := range o.GetLines() {
				if o.GetState() != spillwayv1.OrderState_ORDER_STATE_CANCELLED {
					sold += int64(l.GetQuantity())
				}
			}
		}
	}
	if sold <= r.cfg.Stock {
		return nil
	}
	return []Violation{{Rule: ruleStock, Detail: fmt.Sprintf("%s had %d units, and %d are sold", r.cfg.SKU, r.cfg.Stock, sold)}}
}

// hasKey reports whether an order can be sent again with its key. In the scenario OnlineBoutique the cart is the key, until it is filled again.
func (r *run) hasKey(id string, e *entry) bool {
	return r.cfg.Scenario != OnlineBoutique || r.buyers.all[e.buyer].last == id
}

// replay sends accepted orders again: each response must be the same order.
func (r *run) replay(ctx context.Context) (replayed int64, found []Violation, err error) {
	ids := make([]string, 0, len(r.record.orders))
	for id, e := range r.record.orders {
		if e.outcome == Accepted && r.hasKey(id, e) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	n := min(len(ids), maxReplays)
	var mu sync.Mutex
	again := caller{retries: r.cfg.Retries, stats: newStats(r.cfg.Duration)} // Its measurements are not used.
	err = parallel(ctx, n, func(ctx context.Context, i int) error {
		id := ids[i*len(ids)/n]
		e := r.record.orders[id]
		req := r.request(e.visit)
		a := again.attempts(ctx, stepPlace, func(ctx context.Context) (response, error) {
			o, err := r.shop.Place(ctx, r.buyers.all[e.buyer].token, req)
			return classify(o, err), err
		})
		mu.Lock()
		defer mu.Unlock()
		switch {
		case a.orderID == id:
			replayed++
		case a.orderID != "" || a.outcome == SoldOut:
			found = append(found, Violation{Rule: ruleOneKey, OrderID: id, Detail: fmt.Sprintf(
				"its key sent again was answered with %s %s", a.outcome, a.orderID)})
		default:
			return fmt.Errorf("order %s: %s %s", id, a.outcome, a.code)
		}
		return nil
	})
	return replayed, found, err
}
