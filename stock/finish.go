package stock

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// Settle makes an order that was charged PAID and returns where that stands in the journal. Done before, it answers
// the same. order.ErrFailedPrecondition means that the order was cancelled: the charge must be refunded. order.ErrNotFound means
// that Redis does not know the order (any more). Because the money was taken, it waits a few seconds for a new epoch
// rather than give up at once.
func (s *Stock) Settle(ctx context.Context, id order.ID, chargeID, trace string) (journal.Offset, error) {
	unpaid := s.keys.Unpaid()
	return s.finish(ctx, id, func(epoch journal.Epoch) ([]string, error) {
		return s.exec(ctx, s.scripts.settle,
			[]string{s.keys.Epoch(), s.keys.Journal(epoch.Number), s.keys.Order(id), unpaid[0], unpaid[1], unpaid[2]},
			[]string{strconv.FormatInt(epoch.Number, 10), string(id), chargeID, s.nowMS(), trace, redisconn.ReplicationID(epoch.Instance)})
	})
}

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

// finish runs a step of an order that is reserved, and runs it again on the next epoch when one is being opened. An order of an earlier
// epoch is compared with SQL first, which may be further than a Redis that lost data.
func (s *Stock) finish(ctx context.Context, id order.ID, step func(epoch journal.Epoch) ([]string, error)) (journal.Offset, error) {
	ctx, cancel := context.WithTimeout(ctx, epochWait)
	defer cancel()
	for {
		epoch, err := s.epochs.Wait(ctx)
		if err != nil {
			return journal.Offset{}, err
		}
		reply, err := step(epoch)
		if err == nil && reply[0] == "UNCONFIRMED" {
			if err := s.confirm(ctx, epoch.Number, id); err != nil {
				return journal.Offset{}, err
			}
			continue
		}
		if err == nil {
			pos, err := s.finished(reply)
			if !errors.Is(err, errEpoch) {
				return pos, err
			}
		}
		if pause(ctx, loadWait) != nil {
			return journal.Offset{}, &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("redis did not come back in %s: %w: %w",
				epochWait, order.ErrUnavailable, order.ErrUnknownOutcome)}
		}
	}
}

func (s *Stock) finished(reply []string) (journal.Offset, error) {
	switch reply[0] {
	case "OK":
		epoch, err := strconv.ParseInt(reply[1], 10, 64)
		return journal.Offset{Epoch: epoch, ID: reply[2]}, err
	case "MISSING":
		return journal.Offset{}, fmt.Errorf("redis does not know the order: %w", order.ErrNotFound)
	case "CANCELLED", "PAID":
		return journal.Offset{}, fmt.Errorf("the order is %s: %w", reply[0], order.ErrFailedPrecondition)
	}
	return journal.Offset{}, s.refused(reply)
}
