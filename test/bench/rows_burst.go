package main

import (
	"context"
	"errors"
)

// runBurst measures a burst that serve accepts while no worker runs, and then how fast work drains it.
func runBurst(ctx context.Context, r *run, b *build) (_ []row, err error) {
	s, o, err := r.burst(ctx, b)
	if s != nil {
		defer func() { err = errors.Join(err, s.close()) }()
	}
	if err != nil {
		return nil, err
	}
	burst := measured(rowBurst, o).withCPU(s.meter, o)
	d, err := s.drain(ctx, rowBacklog)
	if err != nil {
		return nil, err
	}
	backlog := d.row(rowBacklog, s)
	backlog.Mail = b.mailMode()
	return []row{burst, backlog}, s.settle(ctx)
}

// runMails measures the drain of a burst with both mails of every order: the time ends with the last mail.
func runMails(ctx context.Context, r *run, b *build) (_ []row, err error) {
	s, _, err := r.burst(ctx, b)
	if s != nil {
		defer func() { err = errors.Join(err, s.close()) }()
	}
	if err != nil {
		return nil, err
	}
	d, err := s.drain(ctx, rowMails, mailYield+"=0s")
	if err != nil {
		return nil, err
	}
	d.to = d.mailed
	d.mailsPerSecond, d.mailsLate = s.meter.mails(d.from, d.to), 0
	line := d.row(rowMails, s)
	line.Mail = mailInStep
	return []row{line}, s.settle(ctx)
}

// burst opens a shop without workers and lets it accept orders of one product.
func (r *run) burst(ctx context.Context, b *build) (*shop, outcome, error) {
	s, err := r.openShop(ctx, b)
	if err != nil {
		return nil, outcome{}, err
	}
	sku, err := s.product(ctx, initialStock)
	if err != nil {
		return s, outcome{}, err
	}
	l := r.load()
	l.atBegin, l.atEnd = func() { s.profiles.start(ctx, rowBurst) }, s.profiles.wait
	o, err := s.placeOrders(ctx, l, oneLine(sku))
	return s, o, err
}

// mailYield is the flag of work that is how long mails wait for orders; 0 is not at all.
const mailYield = "mail-yield"

// mailMode is the mode of the build's mails by default.
func (b *build) mailMode() string {
	if b.has(roleWork, mailYield) {
		return mailYields
	}
	return mailInStep
}

// row is the row of the drain between its times.
func (d drained) row(name string, s *shop) row {
	line := row{
		Name: name, PerSecond: rate(d.orders, d.to.Sub(d.from)), CPU: s.meter.cpu(d.from, d.to, d.orders),
		SQLPerOrder: ptr(d.statements), FsyncsPerOrder: ptr(d.fsyncs), MailsPerSecond: ptr(d.mailsPerSecond),
	}
	if d.mailsLate > 0 {
		line.MailsAfter = ptr(d.mailsLate)
	}
	return line
}
