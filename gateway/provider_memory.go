package gateway

import (
	"context"
	"sync"

	"github.com/spillway/spillway/order"
)

// outcomesMax bounds what a simulated provider remembers in its process; then it forgets the oldest. The ledger remembers all.
const outcomesMax = 200_000

// recentOutcomes are kept in the process.
type recentOutcomes struct {
	mu     sync.Mutex
	byID   map[order.ID]ProviderOutcome
	oldest []order.ID
}

func (r *recentOutcomes) keep(_ context.Context, id order.ID, o ProviderOutcome) (ProviderOutcome, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seen, ok := r.byID[id]; ok {
		return seen, nil
	}
	r.byID[id] = o
	if r.oldest = append(r.oldest, id); len(r.oldest) > outcomesMax {
		delete(r.byID, r.oldest[0])
		r.oldest = r.oldest[1:]
	}
	return o, nil
}

func (r *recentOutcomes) find(_ context.Context, id order.ID) (ProviderOutcome, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, ok := r.byID[id]
	return o, ok, nil
}

func (r *recentOutcomes) refund(_ context.Context, id order.ID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o, ok := r.byID[id]; ok {
		o.Refunded = true
		r.byID[id] = o
	}
	return nil
}

func (*recentOutcomes) close() error { return nil }
