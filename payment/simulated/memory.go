package simulated

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
)

// maxOutcomes bounds the number of outcomes in memory. Beyond it the oldest is dropped; the ledger has all of them.
const maxOutcomes = 200_000

// recentOutcomes implements outcomes in memory.
type recentOutcomes struct {
	mu   sync.Mutex
	byID map[order.ID]payment.Outcome
	// oldest holds the order ids, oldest first.
	oldest []order.ID
	// refunds holds the refund ids of each order.
	refunds map[order.ID][]string
}

func newRecentOutcomes() *recentOutcomes {
	return &recentOutcomes{byID: make(map[order.ID]payment.Outcome), refunds: make(map[order.ID][]string)}
}

func (r *recentOutcomes) keep(_ context.Context, id order.ID, o payment.Outcome) (payment.Outcome, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen, ok := r.byID[id]
	if ok && !replaces(o, seen) {
		return seen, nil
	}
	r.byID[id] = o
	if ok {
		return o, nil
	}
	if r.oldest = append(r.oldest, id); len(r.oldest) > maxOutcomes {
		delete(r.byID, r.oldest[0])
		delete(r.refunds, r.oldest[0])
		r.oldest = r.oldest[1:]
	}
	return o, nil
}

func (r *recentOutcomes) find(_ context.Context, id order.ID) (payment.Outcome, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, ok := r.byID[id]
	return o, ok, nil
}

func (r *recentOutcomes) refund(_ context.Context, id order.ID, refundID string, amount order.Cents) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, ok := r.byID[id]
	if !ok || slices.Contains(r.refunds[id], refundID) {
		return nil
	}
	after, err := refunded(o, amount)
	if err != nil {
		return err
	}
	r.byID[id], r.refunds[id] = after, append(r.refunds[id], refundID)
	return nil
}

func (r *recentOutcomes) list(_ context.Context, after order.ID, limit int) ([]payment.StatementLine, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []payment.StatementLine
	for id, o := range r.byID {
		if id > after {
			out = append(out, payment.StatementLine{OrderID: id, Outcome: o})
		}
	}
	slices.SortFunc(out, func(a, b payment.StatementLine) int { return strings.Compare(string(a.OrderID), string(b.OrderID)) })
	return out[:min(limit, len(out))], nil
}

func (*recentOutcomes) close() error { return nil }
