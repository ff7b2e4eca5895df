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

// Adjust changes the counter and appends the change to the journal; SQL has it once it reaches the returned offset. The epoch is the one that
// was open before the caller read in SQL that the adjustment was not made: when another one is open by now, Adjust does nothing and returns an
// order.RetryError, because SQL may have the adjustment, and Redis may have lost its record of it. Adjust returns the units left, a
// *order.SoldOutError if more would be taken than is left, and order.ErrAlreadyExists if the id was used for another adjustment.
func (s *Stock) Adjust(ctx context.Context, opened int64, a order.Adjustment) (journal.Offset, int64, error) {
	defer s.soldOut.forget()
	for range maxLoads {
		epoch, err := s.epochs.Current()
		if err != nil {
			return journal.Offset{}, 0, err
		}
		if epoch.Number != opened {
			return journal.Offset{}, 0, unavailable("redis was replaced since epoch %d", opened)
		}
		if epoch.Mode == journal.ModeSQL {
			left, err := s.sql.Adjust(ctx, epoch, a)
			return journal.Offset{}, left, s.checked(err)
		}
		reply, err := s.exec(ctx, s.scripts.adjust, []string{
			s.keys.Epoch(), s.keys.Journal(epoch.Number), s.keys.Stock(epoch.Number), s.keys.Adjusted(a.ID),
		}, []string{
			strconv.FormatInt(epoch.Number, 10), a.ID, string(a.SKU), strconv.FormatInt(a.Units, 10), a.Reason, a.Actor,
			s.nowMS(), seconds(s.limits.IdempotencyTTL), redisconn.ReplicationID(epoch.Instance),
		})
		if err != nil {
			return journal.Offset{}, 0, err
		}
		if reply[0] != "LOAD" {
			return s.adjusted(epoch, a, reply)
		}
		if err := s.load(ctx, skus(reply[1:])); err != nil && !errors.Is(err, errNotYet) {
			return journal.Offset{}, 0, err
		}
	}
	return journal.Offset{}, 0, &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("the counter is still being loaded: %w", order.ErrUnavailable)}
}

func (s *Stock) adjusted(epoch journal.Epoch, a order.Adjustment, reply []string) (journal.Offset, int64, error) {
	switch reply[0] {
	case "OK":
		left, err := strconv.ParseInt(reply[2], 10, 64)
		return journal.Offset{Epoch: epoch.Number, ID: reply[1]}, left, err
	case "MISMATCH":
		return journal.Offset{}, 0, order.Refuse(
			order.ErrAlreadyExists,
			order.ReasonAdjustmentExists,
			"adjustment %s was made before with another SKU or delta",
			a.ID,
		)
	case "SHORT":
		left, _ := strconv.ParseInt(reply[1], 10, 64)
		return journal.Offset{}, 0, &order.SoldOutError{Shortages: []order.Shortage{{SKU: a.SKU, Requested: -a.Units, Available: left}}}
	}
	return journal.Offset{}, 0, s.refused(reply)
}
