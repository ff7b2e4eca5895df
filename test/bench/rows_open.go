package main

import (
	"context"
	"errors"
	"fmt"
)

// openPercents are the loads of the open loop, in percent of what the build accepts while it drains.
var openPercents = []int{50, 100, 150, 300}

func openRow(percent int) string { return fmt.Sprintf("open_%d", percent) }

// runOpen measures calls that come at a rate, whether or not the shop keeps up, while the workers drain.
func runOpen(percent int) func(context.Context, *run, *build) ([]row, error) {
	return func(ctx context.Context, r *run, b *build) (_ []row, err error) {
		s, err := r.openShop(ctx, b)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		line, _, err := s.open(ctx, openRow(percent), r.openLoad(b, percent))
		if err != nil {
			return nil, err
		}
		line.GoodputShare = ptr(ratio(line.PerSecond, r.capacity[b.name]))
		return []row{line}, s.settle(ctx)
	}
}

// open runs an open loop on one product while the workers drain.
func (s *shop) open(ctx context.Context, name string, l openLoad) (row, []span, error) {
	sku, err := s.product(ctx, initialStock)
	if err != nil {
		return row{}, nil, err
	}
	if err := s.startDraining(ctx, oneLine(sku)); err != nil {
		return row{}, nil, err
	}
	o, spans, err := l.run(ctx, shoppers(s.serve.addr, s.tokens, oneLine(sku)))
	s.add(o)
	if err != nil {
		return row{}, nil, err
	}
	shipped, err := s.shipped(ctx)
	line := measured(name, o).withCPU(s.meter, o)
	line.Mail, line.OfferedPerSec = s.build.mailMode(), ptr(l.perSecond)
	if len(o.refused) > 0 {
		line.RefusedP50, line.RefusedP99 = percentiles(o.refused)
	}
	line.MailsPerSecond = ptr(s.meter.mails(o.from, o.to))
	line.ShippedShare = ptr(ratio(float64(shipped), float64(s.placed.accepted)))
	return line, spans, err
}
