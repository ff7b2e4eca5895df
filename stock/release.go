package stock

import (
	"context"
	"strconv"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// Release gives the stock of an order back, once, and cancels it. The reason, which is opaque here, is kept in the record and in the
// journal entry. order.ErrFailedPrecondition means that it was charged;
// order.ErrNotFound that Redis does not know it.
func (s *Stock) Release(ctx context.Context, id order.ID, reason, trace string) (journal.Offset, error) {
	return s.release(ctx, id, reason, trace, "0")
}

// Revoke is Release for an order that SQL refused for good although it may be PAID in Redis: its key belongs to
// another order.
func (s *Stock) Revoke(ctx context.Context, id order.ID, reason string) (journal.Offset, error) {
	return s.release(ctx, id, reason, "", "1")
}

func (s *Stock) release(ctx context.Context, id order.ID, reason, trace, alsoPaid string) (journal.Offset, error) {
	unpaid := s.keys.Unpaid()
	return s.finish(ctx, id, func(epoch journal.Epoch) ([]string, error) {
		return s.exec(ctx, s.scripts.release,
			[]string{
				s.keys.Epoch(), s.keys.Journal(epoch.Number), s.keys.Stock(epoch.Number), s.keys.Order(id), s.keys.RolledBack(id),
				unpaid[0], unpaid[1], unpaid[2],
			},
			[]string{strconv.FormatInt(epoch.Number, 10), string(id), reason, s.nowMS(), seconds(rolledBackTTL), alsoPaid, trace, redisconn.ReplicationID(epoch.Instance)})
	})
}
