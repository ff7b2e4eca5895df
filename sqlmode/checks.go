package sqlmode

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

var (
	errQuantity  = fmt.Errorf("a quantity is not 1 to %d: %w", order.MaxQuantity, order.ErrInvalid)
	errCancelled = fmt.Errorf("the order is CANCELLED: %w", order.ErrFailedPrecondition)
	errPaid      = fmt.Errorf("the order is PAID: %w", order.ErrFailedPrecondition)
)

// unpaidRetry is the retry hint at a limit of unpaid orders: they are paid, cancelled or expire all the time.
const unpaidRetry = time.Minute

// beingCharged is the age up to which an order with a card is not unpaid, but being charged: a checkout times out after 15 s.
const beingCharged = 20 * time.Second

// checks are the idempotency keys and the limits of the orders of a batch. What the batch places is added as it goes.
type checks struct {
	limits stock.Limits
	keys   map[store.Key]store.KeyOwner
	// claims are the customers who have claimed the orders of guests, by guest.
	claims  map[order.CustomerID]order.CustomerID
	orders  map[order.CustomerID]int
	units   map[store.CustomerSKU]int
	pending store.Unpaid
}

func readChecks(ctx context.Context, m *Mode, tx *store.SQLEpochTx, steps []*step) (c *checks, err error) {
	c = &checks{limits: m.limits}
	var keys []store.Key
	var customers, limited []order.CustomerID
	payLater := false
	for _, s := range steps {
		if s.reserve == nil {
			continue
		}
		keys, customers = append(keys, keyOf(s)), append(customers, s.reserve.Customer)
		if len(s.reserve.MaxUnits) > 0 {
			limited = append(limited, s.reserve.Customer)
		}
		payLater = payLater || s.reserve.PayLater
	}
	now := m.now()
	if c.keys, err = tx.KeyOwners(ctx, distinct(keys)); err != nil {
		return nil, err
	}
	if c.claims, err = tx.Claims(ctx, distinct(customers)); err != nil {
		return nil, err
	}
	if m.limits.CustomerOrders > 0 {
		if c.orders, err = tx.Placed(ctx, distinct(customers), now.Add(-m.limits.RateWindow)); err != nil {
			return nil, err
		}
	}
	c.units = make(map[store.CustomerSKU]int)
	if m.limits.UnitsWindow > 0 {
		if c.units, err = tx.Bought(ctx, c.withGuests(distinct(limited)), now.Add(-m.limits.UnitsWindow)); err != nil {
			return nil, err
		}
		c.countForCustomers()
	}
	if payLater {
		c.pending, err = tx.Unpaid(ctx, now.Add(-beingCharged))
	}
	return c, err
}

func keyOf(s *step) store.Key { return store.Key{Customer: s.reserve.Customer, Key: s.reserve.Key} }

// replay returns the order that has the key of the step; empty if there is none.
func (c *checks) replay(s *step) (order.ID, error) {
	owner, ok := c.keys[keyOf(s)]
	if ok && owner.ID != s.order.ID && !bytes.Equal(owner.Fingerprint, s.reserve.Fingerprint) {
		return "", order.KeyReused(owner.ID)
	}
	return owner.ID, nil
}

// claimed refuses the order of a claimed guest.
func (c *checks) claimed(s *step) error {
	if _, ok := c.claims[s.reserve.Customer]; ok {
		return order.GuestClaimed()
	}
	return nil
}

// withGuests returns the customers and the guests that they have claimed.
func (c *checks) withGuests(customers []order.CustomerID) []order.CustomerID {
	out := slices.Clone(customers)
	for guest, customer := range c.claims {
		if slices.Contains(customers, customer) {
			out = append(out, guest)
		}
	}
	return out
}

// countForCustomers has the units of claimed guests count for the customers.
func (c *checks) countForCustomers() {
	for of, n := range c.units {
		if customer, ok := c.claims[of.Customer]; ok {
			c.units[store.CustomerSKU{Customer: customer, SKU: of.SKU}] += n
			delete(c.units, of)
		}
	}
}

// rate checks the orders of the customer in a window.
func (c *checks) rate(s *step) error {
	if most := c.limits.CustomerOrders; most > 0 && c.orders[s.reserve.Customer] >= most {
		return &order.LimitError{Limit: order.LimitCustomerOrders, Maximum: int64(most), After: c.limits.RateWindow}
	}
	return nil
}

// bought checks the units of the customer in a window, or of the order alone if there is no window.
func (c *checks) bought(s *step, want map[order.SKU]int64) error {
	for sku, most := range s.reserve.MaxUnits {
		before := int64(c.units[store.CustomerSKU{Customer: s.reserve.Customer, SKU: sku}])
		switch {
		case most <= 0 || want[sku] == 0 || before+want[sku] <= int64(most):
		case before == 0:
			return &order.LimitError{Limit: order.LimitOrderUnits, SKU: sku, Maximum: int64(most)}
		default:
			return &order.LimitError{Limit: order.LimitCustomerUnits, SKU: sku, Maximum: int64(most), After: c.limits.UnitsWindow}
		}
	}
	return nil
}

// unpaid checks the orders that are placed without a card; left are the units that are for sale.
func (c *checks) unpaid(s *step, want map[order.SKU]int64, left func(order.SKU) int64) error {
	if !s.reserve.PayLater {
		return nil
	}
	l := c.limits
	if l.UnpaidTotal > 0 && c.pending.Total >= l.UnpaidTotal {
		return &order.LimitError{Limit: order.LimitUnpaidTotal, Maximum: int64(l.UnpaidTotal), After: unpaidRetry}
	}
	if l.UnpaidOrders > 0 && c.pending.Customers[s.reserve.Customer] >= l.UnpaidOrders {
		return &order.LimitError{Limit: order.LimitUnpaidOrders, Maximum: int64(l.UnpaidOrders), After: unpaidRetry}
	}
	for sku, n := range want {
		held := c.pending.Units[sku]
		// One unit always may be unpaid, or a product with few could not be paid later at all.
		most := max(1, (left(sku)+held)*int64(l.UnpaidPercent)/100)
		if l.UnpaidPercent > 0 && held+n > most {
			return &order.LimitError{Limit: order.LimitUnpaidShare, SKU: sku, Maximum: most, After: unpaidRetry}
		}
	}
	return nil
}

// placed counts an order that the batch places.
func (c *checks) placed(s *step, want map[order.SKU]int64) {
	r := s.reserve
	c.keys[keyOf(s)] = store.KeyOwner{ID: s.order.ID, Fingerprint: r.Fingerprint}
	if c.orders != nil {
		c.orders[r.Customer]++
	}
	for sku, n := range want {
		if c.limits.UnitsWindow > 0 {
			c.units[store.CustomerSKU{Customer: r.Customer, SKU: sku}] += int(n)
		}
	}
	if r.PayLater && c.pending.Customers != nil {
		c.pending.Total++
		c.pending.Customers[r.Customer]++
		for sku, n := range want {
			c.pending.Units[sku] += n
		}
	}
}

// distinct returns the values without repetitions, in their first sequence.
func distinct[T comparable](values []T) []T {
	seen := make(map[T]bool, len(values))
	return slices.DeleteFunc(slices.Clone(values), func(v T) bool {
		was := seen[v]
		seen[v] = true
		return was
	})
}
