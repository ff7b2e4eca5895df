package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spillway/spillway/catalog"
)

const (
	// starts is the number of starts of a row.
	starts = 5
	// orderPoll is the time between two attempts to place the first order.
	orderPoll = 2 * time.Millisecond
)

// runStart measures the time from the start of a process to its first order: of all with an empty data directory, which also creates the
// database and its products, and of serve on the real servers.
func runStart(ctx context.Context, r *run, b *build) (_ []row, err error) {
	products, err := catalog.Seed()
	if err != nil {
		return nil, err
	}
	sku := string(products[0].SKU)
	all, err := repeatStart(ctx, rowStart, func() (first, error) { return r.startEmbedded(ctx, b, sku) })
	if err != nil {
		return nil, err
	}
	s, err := r.openShop(ctx, b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if sku, err = s.product(ctx, initialStock); err != nil {
		return nil, err
	}
	serve, err := repeatStart(ctx, rowStartServe, func() (first, error) { return s.restartServe(ctx, sku) })
	if err != nil {
		return nil, err
	}
	return []row{all, serve}, s.settle(ctx)
}

// first is a process that accepted its first order.
type first struct {
	after   time.Duration
	cpu     map[string]float64
	unknown int // calls before it without a response
}

// repeatStart returns the row of several starts: the percentiles of the time to the first order, in which one order was placed.
func repeatStart(ctx context.Context, name string, start func() (first, error)) (row, error) {
	var times []time.Duration
	var lines []row
	for range starts {
		f, err := start()
		if err != nil || ctx.Err() != nil {
			return row{}, errors.Join(err, ctx.Err())
		}
		times = append(times, f.after)
		lines = append(lines, row{Name: name, CPU: f.cpu})
	}
	slices.Sort(times)
	line := medianRow(lines)
	line.P50, line.P99 = percentiles(times)
	return line, nil
}

func (r *run) startEmbedded(ctx context.Context, b *build, sku string) (f first, err error) {
	e, err := r.openEmbedded(b)
	if err != nil {
		return f, err
	}
	tokens, err := guests(e.key)
	if err != nil {
		return f, err
	}
	m := r.newMeter()
	defer m.close()
	e.server, f, err = r.stage.firstOrder(ctx, m, b.name+"-embedded", b.binary, e.environment(), e.args(), tokens, oneLine(sku))
	if e.server != nil {
		err = errors.Join(err, e.server.stop())
	}
	return f, err
}

func (s *shop) restartServe(ctx context.Context, sku string) (f first, err error) {
	if err := s.serve.stop(); err != nil {
		return f, err
	}
	s.serve, f, err = s.run.stage.firstOrder(ctx, s.meter, s.build.name+"-serve", s.build.binary, s.environment(),
		s.build.args(roleServe, s.settings...), s.tokens, oneLine(sku))
	if err == nil {
		s.placed.accepted++
		s.placed.errors[codeNoResponse] += f.unknown
	}
	return f, err
}

// firstOrder starts a server and calls it until it accepts an order.
func (s *stage) firstOrder(
	ctx context.Context, m *meter, name, binary string, env, args, tokens, bodies []string,
) (c *child, f first, err error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, f, err
	}
	begin := time.Now()
	if c, err = s.spawn(name, binary, s.environment(env...), append(args, "--listen", addr)...); err != nil {
		return nil, f, err
	}
	c.addr = addr
	m.process(nameServe, c)
	client := shoppers(addr, tokens, bodies)(0)
	defer client.close()
	code := ""
	err = poll(ctx, startTimeout, func() (time.Duration, error) {
		switch code = client.call(ctx); code {
		case "":
			return 0, nil
		case codeNoResponse, codeNotPaid:
			f.unknown++
		}
		return orderPoll, nil
	})
	if err != nil {
		return c, f, fmt.Errorf("%s: no order within %s, but %s: %w\n%s", name, startTimeout, code, err, c.tail())
	}
	end := time.Now()
	f.after, f.cpu = end.Sub(begin), m.cpu(begin, end, 1)
	return c, f, nil
}
