package stock

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
)

// Limits are the bounds of the hot path.
type Limits struct {
	// JournalMax is the number of entries in the journal at which Reserve returns order.ErrOverloaded.
	JournalMax int
	// CustomerOrders is the number of orders that a customer may place in one RateWindow; 0 is no limit.
	CustomerOrders int
	// RateWindow is the window of CustomerOrders; whole seconds.
	RateWindow time.Duration
	// UnitsWindow is the time for which the units that a customer ordered count towards a product's limit for each customer; whole seconds. With 0
	// the limit applies to each order alone.
	UnitsWindow time.Duration
	// UnpaidOrders bounds the unpaid orders of a customer, UnpaidTotal those of all customers, and UnpaidPercent the share of a SKU's unsold
	// units that unpaid orders hold; 0 is no limit.
	UnpaidOrders, UnpaidTotal, UnpaidPercent int
	// UnpaidTTL is the time after which it is checked whether an unpaid order is still PENDING: longer than it may be paid. One that is not,
	// or that Redis has lost, is no longer counted.
	UnpaidTTL time.Duration
	// IdempotencyTTL is the TTL of idempotency records; whole seconds.
	IdempotencyTTL time.Duration
	// HotOrderTTL is the TTL of a hot order once its state is in SQL; whole seconds.
	HotOrderTTL time.Duration
	// Timeout bounds one call to Redis.
	Timeout time.Duration
}

// DefaultLimits fit a Redis with 1 GiB: 200,000 entries are 90 MB, because the two of a paid order take about 900 bytes; reservations alone are 140 MB.
func DefaultLimits() Limits {
	return Limits{
		JournalMax: 200_000, CustomerOrders: 300, RateWindow: time.Minute, IdempotencyTTL: 24 * time.Hour,
		HotOrderTTL: time.Minute, Timeout: time.Second,
		// An unpaid order takes 7 kB in Redis: 10,000 are 70 MB.
		UnitsWindow: 24 * time.Hour, UnpaidOrders: 2, UnpaidTotal: 10_000, UnpaidPercent: 10, UnpaidTTL: 20 * time.Minute,
	}
}

// unpaidRetry is the retry hint at a limit of unpaid orders: they are paid, cancelled or expire all the time.
const unpaidRetry = time.Minute

// MarkUnpaid counts an order as unpaid from now on, because it is unknown whether its card was charged. An order that was placed without a
// card is counted since then. Settle and Release end it. It does nothing for an order that is not pending. An order of an earlier epoch is
// compared with SQL first, which may be further than a Redis that lost data.
func (s *Stock) MarkUnpaid(ctx context.Context, id order.ID) error {
	epoch, err := s.epochs.Current()
	if err != nil {
		return err
	}
	if epoch.Mode == journal.ModeSQL {
		return nil // Its row is counted.
	}
	reply, err := s.markUnpaid(ctx, epoch, id)
	if err == nil && reply[0] == "UNCONFIRMED" {
		if err := s.confirm(ctx, epoch.Number, id); err != nil {
			return err
		}
		reply, err = s.markUnpaid(ctx, epoch, id)
	}
	switch {
	case err != nil:
		return err
	case reply[0] != "OK":
		return s.refused(reply)
	}
	return nil
}

func (s *Stock) markUnpaid(ctx context.Context, epoch journal.Epoch, id order.ID) ([]string, error) {
	unpaid := s.keys.Unpaid()
	return s.exec(ctx, s.scripts.markUnpaid, []string{s.keys.Epoch(), s.keys.Order(id), unpaid[0], unpaid[1], unpaid[2]},
		[]string{strconv.FormatInt(epoch.Number, 10), string(id), s.nowMS(), s.unpaidUntil()})
}

func (s *Stock) unpaidUntil() string {
	return strconv.FormatInt(s.now().Add(s.limits.UnpaidTTL).UnixMilli(), 10)
}

// limited makes the error of the limit in the reply of the reserve script.
func (s *Stock) limited(reply []string) error {
	number := func(i int) int64 { n, _ := strconv.ParseInt(reply[i], 10, 64); return n }
	switch {
	case reply[0] == "LIMIT":
		return &order.LimitError{
			Limit: order.LimitCustomerOrders, Maximum: int64(s.limits.CustomerOrders), After: time.Duration(max(number(1), 1)) * time.Second,
		}
	case reply[0] == "UNITS" && number(3) == 0:
		return &order.LimitError{Limit: order.LimitOrderUnits, SKU: order.SKU(reply[1]), Maximum: number(2)}
	case reply[0] == "UNITS":
		return &order.LimitError{
			Limit: order.LimitCustomerUnits, SKU: order.SKU(reply[1]), Maximum: number(2), After: time.Duration(max(number(4), 1)) * time.Second,
		}
	case reply[1] == "share":
		return &order.LimitError{Limit: order.LimitUnpaidShare, SKU: order.SKU(reply[3]), Maximum: number(2), After: unpaidRetry}
	case reply[1] == "orders":
		return &order.LimitError{Limit: order.LimitUnpaidOrders, Maximum: number(2), After: unpaidRetry}
	case reply[1] == "total":
		return &order.LimitError{Limit: order.LimitUnpaidTotal, Maximum: number(2), After: unpaidRetry}
	}
	return fmt.Errorf("the reserve script returned an unknown limit: %q", reply)
}

// formatMaxUnits formats "SKU:UNITS,..." of the SKUs that have a limit.
func formatMaxUnits(most map[order.SKU]int) string {
	var b strings.Builder
	for sku, n := range most {
		if n <= 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(sku) + ":" + strconv.Itoa(n))
	}
	return b.String()
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return "0"
}
