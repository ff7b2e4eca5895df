package main

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// skuSlices is the number of times that one hot product and many take turns, so that both meet the same state of the machine.
	skuSlices = 3
	// sliceWarmUp is enough between two slices: connections are new, but the server is warm.
	sliceWarmUp = 300 * time.Millisecond
	// linesPerLoad is the number of counters that one order loads: the maximum number of lines of a cart.
	linesPerLoad = 100
	// linesPerCart is the size of the large carts.
	linesPerCart = 10
)

// runSKUs measures serve with one hot product and with many, by turns.
func runSKUs(ctx context.Context, r *run, b *build) (_ []row, err error) {
	s, err := r.openShop(ctx, b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	skus, err := s.products(ctx, r.cmd.SKUs+1, initialStock)
	if err != nil {
		return nil, err
	}
	if err := s.loadCounters(ctx, skus); err != nil {
		return nil, err
	}
	hot, many := oneLine(skus[0]), []string{}
	for _, sku := range skus[1:] {
		many = append(many, oneLine(sku)...)
	}
	l := r.load()
	l.length /= skuSlices
	var hots, manys []outcome
	for range skuSlices {
		h, err := s.placeOrders(ctx, l, hot)
		if err != nil {
			return nil, err
		}
		m, err := s.placeOrders(ctx, l, many)
		if err != nil {
			return nil, err
		}
		hots, manys = append(hots, h), append(manys, m)
		l.warmUp = sliceWarmUp
	}
	return []row{combined(rowHot, s.meter, hots), combined(rowMany, s.meter, manys)}, s.settle(ctx)
}

// loadCounters orders each product once, so that Redis has its counter. Loading a counter reads the journal that is not flushed yet: thousands
// of loads during a burst without a flusher would be measured instead of orders.
func (s *shop) loadCounters(ctx context.Context, skus []string) error {
	var carts []string
	for some := range slices.Chunk(skus, linesPerLoad) {
		carts = append(carts, cart(some, true))
	}
	return s.placeEach(ctx, carts)
}

// combined is the row of several loads.
func combined(name string, m *meter, parts []outcome) row {
	all := merge(parts)
	var length time.Duration
	cpu := map[string]float64{}
	for _, p := range parts {
		length += p.to.Sub(p.from)
		for process, us := range m.cpu(p.from, p.to, 1) {
			cpu[process] += us
		}
	}
	for process := range cpu {
		cpu[process] = ratio(cpu[process], float64(all.measured()))
	}
	all.perSecond = rate(all.measured(), length)
	line := measured(name, all)
	line.CPU = cpu
	return line
}

// runLines measures serve with carts of ten lines.
func runLines(ctx context.Context, r *run, b *build) (_ []row, err error) {
	s, err := r.openShop(ctx, b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	skus, err := s.products(ctx, linesPerCart, initialStock)
	if err != nil {
		return nil, err
	}
	o, err := s.placeOrders(ctx, r.load(), []string{cart(skus, true)})
	if err != nil {
		return nil, err
	}
	return []row{measured(rowLines, o).withCPU(s.meter, o)}, s.settle(ctx)
}
