package stock

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// lossMargin is how long after Epoch.RecordsLostAt an order that Redis does not have may be placed: SQL mode takes orders until the epoch is open, which
// takes seconds, and the clocks of processes differ.
const lossMargin = time.Minute

// countBought counts in Redis what the customer ordered within a UnitsWindow according to SQL, if Redis came back without data that SQL has less than a
// UnitsWindow ago. It returns an order.RetryError if SQL or Redis does not work: without it the customer may get more units than the limit. A request
// that was sent before, with an unknown outcome, was counted for then.
func (s *Stock) countBought(ctx context.Context, epoch journal.Epoch, r Request) error {
	now, window, lost := s.now(), s.limits.UnitsWindow, epoch.RecordsLostAt
	if len(r.MaxUnits) == 0 || r.Epoch != 0 || window == 0 || lost.IsZero() || now.Sub(lost) >= window {
		return nil
	}
	orders, err := s.store.Bought(ctx, r.Customer, order.FirstID(now.Add(-window)), order.FirstID(lost.Add(lossMargin)))
	if err != nil {
		err = fmt.Errorf("read what the customer ordered, in SQL: %w: %w", order.ErrUnavailable, err)
		return &order.RetryError{After: redisconn.RetryAfter, Err: err}
	}
	keys, args := []string{s.keys.Bought(r.Customer)}, make([]string, 0, 3*len(orders))
	for _, o := range orders {
		left := int64(o.ID.Time().Add(window).Sub(now) / time.Second)
		if left <= 0 {
			continue
		}
		keys = append(keys, s.keys.Order(o.ID), s.keys.RolledBack(o.ID))
		args = append(args, string(o.ID), order.FormatDeltas(o.Units), strconv.FormatInt(left, 10))
	}
	if len(args) == 0 {
		return nil
	}
	reply, _, err := s.run(ctx, s.scripts.bought, keys, args) // Not by exec: the outcome of the reservation is not unknown.
	if err == nil {
		err = reply.Error()
	}
	if err != nil {
		return redisconn.Unavailable(err)
	}
	return nil
}
