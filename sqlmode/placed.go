package sqlmode

import "github.com/spillway/spillway/order"

// maxPlaced bounds the orders that placed remembers: some 5 MB.
const maxPlaced = 50_000

// placed are the orders that this process has placed in an epoch in SQL. Redis never had their units, so that these return to the reserve. An order that
// is not in it may be of Redis, which may have released it, and sold its units again, before it became unavailable: its units return to the stock
// alone, and are for sale in the next epoch. Only the goroutine that runs batches uses it.
type placed struct {
	epoch  int64
	orders map[order.ID]struct{}
}

// add remembers the order, unless maxPlaced others are remembered.
func (p *placed) add(epoch int64, id order.ID) {
	if p.epoch != epoch {
		p.epoch, p.orders = epoch, make(map[order.ID]struct{})
	}
	if len(p.orders) < maxPlaced {
		p.orders[id] = struct{}{}
	}
}

// has reports whether the order is remembered for the epoch.
func (p *placed) has(epoch int64, id order.ID) bool {
	_, ok := p.orders[id]
	return ok && p.epoch == epoch
}

// remember remembers the orders that the committed steps have placed.
func (m *Mode) remember(steps []*step) {
	for _, s := range steps {
		if s.reserve != nil && s.err == nil && s.replay == "" {
			m.placed.add(s.epoch.Number, s.order.ID)
		}
	}
}
