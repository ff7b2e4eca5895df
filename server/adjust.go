package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// adjustTimeout bounds how long an adjustment waits for SQL: many batches of the flusher.
const adjustTimeout = 10 * time.Second

// Adjustments changes stock by hand, through Redis and the journal like an order. It returns once the change is in SQL, whatever the
// durability of orders is: an operator must not see units that a wiped Redis loses.
type Adjustments struct {
	Counters interface {
		// OpenEpoch returns the number of the open epoch.
		OpenEpoch() (int64, error)
		// Adjust makes the adjustment once, in the epoch only.
		Adjust(ctx context.Context, epoch int64, a order.Adjustment) (journal.Offset, int64, error)
	}
	Store interface {
		FindAdjustment(ctx context.Context, id string) (order.Adjustment, error)
	}
	Available Availability
	// InSQL returns when SQL includes the offset.
	InSQL func(ctx context.Context, offset journal.Offset) error
}

// Adjust makes the adjustment once. SQL has the adjustments that Redis has lost. The epoch is read before SQL: when Redis loses the
// adjustment after SQL was read, Redis is in another epoch, and refuses to make it again.
func (a Adjustments) Adjust(ctx context.Context, adj order.Adjustment) (int64, error) {
	epoch, epochErr := a.Counters.OpenEpoch()
	done, err := a.Store.FindAdjustment(ctx, adj.ID)
	switch {
	case err == nil && (done.SKU != adj.SKU || done.Units != adj.Units):
		return 0, order.Refuse(order.ErrAlreadyExists, order.ReasonAdjustmentExists, "adjustment %s was made before with another SKU or delta", adj.ID)
	case err == nil:
		left, err := a.Available.Available(ctx, []order.SKU{adj.SKU})
		return left[adj.SKU], err
	case !errors.Is(err, order.ErrNotFound):
		return 0, err
	case epochErr != nil:
		return 0, epochErr
	}
	offset, left, err := a.Counters.Adjust(ctx, epoch, adj)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, adjustTimeout)
	defer cancel()
	if err := a.InSQL(ctx, offset); err != nil {
		refused := order.Refuse(order.ErrUnavailable, order.ReasonNotDurableYet,
			"the adjustment is made but not in SQL yet; send it again with the same adjustmentId")
		return 0, &order.RetryError{After: defaultRetryDelay, Err: fmt.Errorf("%w: %w", refused, err)}
	}
	return left, nil
}
