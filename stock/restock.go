package stock

import (
	"context"
	"strconv"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// Restock gives back the units of an order that SQL cancelled, or that was lost with an earlier Redis, and returns where that
// stands in the journal. The epoch is the one that was open before SQL was asked whether the units are back already: when another
// is open by now, an order.RetryError says so and nothing was done. Again in the same epoch, it answers the same. The customer, if
// known, may order the units again.
func (s *Stock) Restock(ctx context.Context, epoch int64, id order.ID, customer order.CustomerID, units []order.Delta, reason string) (journal.Offset, error) {
	open, err := s.epochs.Current()
	if err != nil {
		return journal.Offset{}, err
	}
	reply, err := s.exec(ctx, s.scripts.restock,
		[]string{s.keys.Epoch(), s.keys.Journal(epoch), s.keys.Stock(epoch), s.keys.RolledBack(id), s.keys.Bought(customer)},
		[]string{strconv.FormatInt(epoch, 10), string(id), order.FormatDeltas(units), reason, s.nowMS(), seconds(rolledBackTTL), redisconn.ReplicationID(open.Instance)})
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
