package main

import (
	"context"
	"errors"
)

// runDraining measures how many orders serve accepts while work drains, and how many of them are SHIPPED when the load stops.
func runDraining(ctx context.Context, r *run, b *build) ([]row, error) {
	return runAccept(ctx, r, b, rowDraining)
}

// runSQLDurability measures the same for orders with durability sql: the response waits until the row is in SQL.
func runSQLDurability(ctx context.Context, r *run, b *build) ([]row, error) {
	return runAccept(ctx, r, b, rowSQLDurable, "durability=sql")
}

func runAccept(ctx context.Context, r *run, b *build, name string, settings ...string) (_ []row, err error) {
	s, err := r.openShop(ctx, b, settings...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	sku, err := s.product(ctx, initialStock)
	if err != nil {
		return nil, err
	}
	line, err := s.acceptDraining(ctx, name, r.load(), oneLine(sku))
	if err != nil {
		return nil, err
	}
	return []row{line}, s.settle(ctx)
}

// acceptDraining runs a closed loop while the workers drain.
func (s *shop) acceptDraining(ctx context.Context, name string, l load, bodies []string) (row, error) {
	if err := s.startDraining(ctx, bodies); err != nil {
		return row{}, err
	}
	w := s.watchStatus(ctx, &l)
	begin := l.atBegin
	l.atBegin = func() { begin(); s.profiles.start(ctx, name) }
	defer s.profiles.wait()
	o, err := s.placeOrders(ctx, l, bodies)
	if err != nil {
		return row{}, err
	}
	shipped, err := s.shipped(ctx)
	if err != nil {
		return row{}, errors.Join(err, w.err)
	}
	line := measured(name, o).withCPU(s.meter, o)
	line.Mail = s.build.mailMode()
	line.MailsPerSecond = ptr(s.meter.mails(o.from, o.to))
	line.ShippedShare = ptr(ratio(float64(shipped), float64(s.placed.accepted)))
	w.fill(&line, o.measured())
	return line, w.err
}

// startDraining starts the workers and returns when they have drained one order of each body.
func (s *shop) startDraining(ctx context.Context, bodies []string) error {
	if err := s.startWork(); err != nil {
		return err
	}
	if err := s.placeEach(ctx, bodies); err != nil {
		return err
	}
	return s.awaitShipped(ctx)
}

// statusWindow reads MySQL's counters at the begin and the end of a load.
type statusWindow struct {
	before, after sqlStatus
	err           error
}

// watchStatus lets the load read the counters.
func (s *shop) watchStatus(ctx context.Context, l *load) *statusWindow {
	w := &statusWindow{}
	read := func(into *sqlStatus) func() {
		return func() {
			status, err := s.db.status(ctx)
			*into = status
			w.err = errors.Join(w.err, err) // The two do not overlap.
		}
	}
	l.atBegin, l.atEnd = read(&w.before), read(&w.after)
	return w
}

// fill adds the statements per order.
func (w *statusWindow) fill(line *row, orders int) {
	statements, fsyncs := w.after.perOrder(w.before, orders)
	line.SQLPerOrder, line.FsyncsPerOrder = ptr(statements), ptr(fsyncs)
}
