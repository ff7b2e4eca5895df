package stock

import (
	"context"
	"strconv"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// Restock gives back the units of an order that SQL cancelled, or that was lost with an earlier Redis, and returns the offset of the entry.
// The epoch is the one that was open before the caller read in SQL whether the units are back already: when another one is open by now,
// Restock does nothing and returns an order.RetryError. A repeated call in the same epoch returns the same. The customer, if known, may order
// the units again.
func (s *Stock) Restock(ctx context.Context, epoch int64, id order.ID, customer order.CustomerID, units []order.Delta, reason string) (journal.Offset, error) {
	open, err := s.epochs.Current()
	if err != nil {
		return journal.Offset{}, err
	}
	defer s.soldOut.forget()
	if open.Mode == journal.ModeSQL {
		if open.Number != epoch {
			return journal.Offset{}, unavailable("another epoch was opened since epoch %d", epoch)
		}
		return journal.Offset{}, s.checked(s.sql.Restock(ctx, open, id, units, order.ParseCancelReason(reason)))
	}
	reply, err := s.exec(
		ctx,
		s.scripts.restock,
		[]string{s.keys.Epoch(), s.keys.Journal(epoch), s.keys.Stock(epoch), s.keys.RolledBack(id), s.keys.Bought(customer)},
		[]string{
			strconv.FormatInt(epoch, 10),
			string(id),
			order.FormatDeltas(units),
			reason,
			s.nowMS(),
			seconds(rolledBackTTL),
			redisconn.ReplicationID(open.Instance),
		},
	)
	if err != nil {
		return journal.Offset{}, err
	}
	return s.finished(reply)
}

// OpenEpoch is the number of the epoch that this process reserves on; an order.RetryError while there is none.
func (s *Stock) OpenEpoch() (int64, error) {
	epoch, err := s.epochs.Current()
	return epoch.Number, err
}
