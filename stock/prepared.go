package stock

import (
	"strconv"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// epochNames are the keys and arguments that the steps of all orders in an epoch have in common. They are built once for an epoch.
type epochNames struct {
	of journal.Epoch
	// number and replicationID are the arguments that name the epoch and its Redis.
	number, replicationID string
	epoch, journal, stock string
	unpaid                [3]string
}

func (n *epochNames) isOf(epoch journal.Epoch) bool {
	return n.of.Number == epoch.Number && n.of.Instance == epoch.Instance
}

// names returns the names of the epoch. It keeps those of the last one: a process works on one epoch at a time.
func (s *Stock) names(of journal.Epoch) *epochNames {
	if n := s.lastNames.Load(); n != nil && n.isOf(of) {
		return n
	}
	n := &epochNames{
		of: of, number: strconv.FormatInt(of.Number, 10), replicationID: redisconn.ReplicationID(of.Instance),
		epoch: s.keys.Epoch(), journal: s.keys.Journal(of.Number), stock: s.keys.Stock(of.Number), unpaid: s.keys.Unpaid(),
	}
	s.lastNames.Store(n)
	return n
}

// limitArgs are the limits as the reserve script takes them.
type limitArgs struct {
	idempotencyTTL, journalMax, customerOrders, rateWindow, quantityMax, unitsWindow, unpaidOrders, unpaidPercent, unpaidTotal string
}

func newLimitArgs(l Limits) limitArgs {
	return limitArgs{
		idempotencyTTL: seconds(l.IdempotencyTTL), journalMax: strconv.Itoa(l.JournalMax), customerOrders: strconv.Itoa(l.CustomerOrders),
		rateWindow: seconds(l.RateWindow), quantityMax: strconv.Itoa(order.MaxQuantity), unitsWindow: seconds(l.UnitsWindow),
		unpaidOrders: strconv.Itoa(l.UnpaidOrders), unpaidPercent: strconv.Itoa(l.UnpaidPercent), unpaidTotal: strconv.Itoa(l.UnpaidTotal),
	}
}
