package stock

import (
	"context"
	"time"

	"github.com/spillway/spillway/order"
)

// MaxLoadEntries and MaxBatchSKUs bound one call of the load script.
const (
	MaxLoadEntries = maxLoadEntries
	MaxBatchSKUs   = maxBatchSKUs
)

// SetLoadEntries sets how many journal entries one call of the load script reads.
func (s *Stock) SetLoadEntries(n int) { s.loadEntries = n }

// Load loads the counters of the SKUs.
func (s *Stock) Load(ctx context.Context, skus []order.SKU) error { return s.load(ctx, skus) }

// WaitingLoads is the number of SKUs that wait for the next batch.
func (s *Stock) WaitingLoads() int {
	s.loads.mu.Lock()
	defer s.loads.mu.Unlock()
	return len(s.loads.waiting)
}

// SetEpochWait sets how long a step waits for a new epoch, and for SQL.
func (s *Stock) SetEpochWait(d time.Duration) { s.epochWait = d }
