package stock

import (
	"context"
	"strconv"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// Release gives the stock of an order back, once, and cancels it, and returns the offset of the entry. The reason, which is opaque here, is
// kept in the hot order and in the entry. It returns order.ErrFailedPrecondition when the order was charged, and order.ErrNotFound when Redis
// does not hold it.
func (s *Stock) Release(ctx context.Context, id order.ID, reason, trace string) (journal.Offset, error) {
	return s.release(ctx, id, reason, trace, "0")
}

// Revoke is Release also for a PAID order, because SQL will never apply it: its idempotency key belongs to another order.
func (s *Stock) Revoke(ctx context.Context, id order.ID, reason string) (journal.Offset, error) {
	return s.release(ctx, id, reason, "", "1")
}

func (s *Stock) release(ctx context.Context, id order.ID, reason, trace, alsoPaid string) (journal.Offset, error) {
	defer s.soldOut.forget()
	unpaid := s.keys.Unpaid()
	return s.finish(ctx, id, step{inSQL: func(epoch journal.Epoch) error {
		return s.sql.Release(ctx, epoch, id, order.ParseCancelReason(reason))
	}, inRedis: func(epoch journal.Epoch) ([]string, error) {
		return s.exec(
			ctx,
			s.scripts.release,
			[]string{
				s.keys.Epoch(), s.keys.Journal(epoch.Number), s.keys.Stock(epoch.Number), s.keys.Order(id), s.keys.RolledBack(id),
				unpaid[0], unpaid[1], unpaid[2],
			},
			[]string{
				strconv.FormatInt(epoch.Number, 10),
				string(id),
				reason,
				s.nowMS(),
				seconds(rolledBackTTL),
				alsoPaid,
				trace,
				redisconn.ReplicationID(epoch.Instance),
			},
		)
	}})
}
