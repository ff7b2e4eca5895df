package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
)

const (
	// minPoll and maxPoll bound the time between two counts of a drain. A count reads an index of all shipped orders, about 10 ms for
	// 40,000 of them: more counts would slow down what is measured. Close to the end they are more frequent.
	minPoll, maxPoll = 100 * time.Millisecond, time.Second
	// flushPoll is the time between two checks whether the drain has begun, each of which reads one row.
	flushPoll = 20 * time.Millisecond
	// mailsPerOrder is the number of mails of a shipped order: the confirmation, and that it is shipped.
	mailsPerOrder = 2
)

var (
	errDrain = errors.New("not all accepted orders are SHIPPED")
	errMails = errors.New("not all mails were sent")
)

// drained is the drain of a backlog.
type drained struct {
	orders         int
	from, to       time.Time // the first flush, and the last order's shipping
	mailed         time.Time // the last mail
	statements     float64   // per order
	fsyncs         float64   // of the redo log, per order
	mailsPerSecond float64   // from the first flush to the last order's shipping
	mailsLate      float64   // per second, after that
}

// drain starts the workers on the accepted orders, and returns when all are SHIPPED and their mails are sent.
func (s *shop) drain(ctx context.Context, row string, settings ...string) (d drained, err error) {
	progress("draining %d orders ...", s.placed.accepted)
	before, err := s.db.status(ctx)
	if err != nil {
		return d, err
	}
	shipped, err := s.shipped(ctx)
	if err != nil {
		return d, err
	}
	if d.from, err = s.firstFlush(ctx, settings...); err != nil {
		return d, err
	}
	s.profiles.start(ctx, row)
	defer s.profiles.wait()
	if err := s.awaitShipped(ctx); err != nil {
		return d, err
	}
	after, err := s.db.status(ctx)
	if err != nil {
		return d, err
	}
	d.orders = s.placed.accepted - shipped
	d.statements, d.fsyncs = after.perOrder(before, d.orders)
	if d.to, err = s.lastShipped(ctx); err != nil {
		return d, err
	}
	d.mailed, err = s.awaitMails(ctx)
	d.mailsPerSecond = s.meter.mails(d.from, d.to)
	if d.mailed.After(d.to) {
		d.mailsLate = s.meter.mails(d.to, d.mailed)
	}
	return d, err
}

// firstFlush starts the workers and returns when the first of them has begun: starting, such as getting a route from RocketMQ, is no draining.
func (s *shop) firstFlush(ctx context.Context, settings ...string) (time.Time, error) {
	const query = "SELECT last_id FROM stock_epochs WHERE closed_at IS NULL"
	var before, now string
	if err := s.db.scan(ctx, []any{&before}, query); err != nil {
		return time.Time{}, err
	}
	if err := s.startWork(settings...); err != nil {
		return time.Time{}, err
	}
	err := poll(ctx, startTimeout, func() (time.Duration, error) {
		if err := s.db.scan(ctx, []any{&now}, query); err != nil || now != before {
			return 0, err
		}
		return flushPoll, nil
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("%s did not begin within %s: %w\n%s", s.work.name, startTimeout, err, s.work.tail())
	}
	return time.Now(), nil
}

// poll calls next until it returns 0, at most for the limit, and waits between two calls as long as the first returned.
func poll(ctx context.Context, limit time.Duration, next func() (time.Duration, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		pause, err := next()
		if err != nil || pause == 0 {
			return err
		}
		if !sleepUntil(ctx, time.Now().Add(pause)) {
			return ctx.Err()
		}
	}
}

// awaitShipped returns when every accepted order is SHIPPED.
func (s *shop) awaitShipped(ctx context.Context) error {
	n := 0
	begun := time.Now()
	err := poll(ctx, s.run.cmd.DrainWait, func() (_ time.Duration, err error) {
		if n, err = s.shipped(ctx); err != nil || n >= s.placed.accepted {
			return 0, err
		}
		return untilDone(n, s.placed.accepted, time.Since(begun)), nil
	})
	if err != nil && ctx.Err() == nil {
		states, serr := s.states(ctx)
		err = fmt.Errorf("%w: %d of %d after %s; in MySQL: %s; does another spillway read the topic? (%w)",
			errDrain, n, s.placed.accepted, s.run.cmd.DrainWait, states, errors.Join(err, serr))
	}
	return err
}

// untilDone returns when to count again: when the rest is done at the rate so far, within the bounds.
func untilDone(done, all int, since time.Duration) time.Duration {
	if done == 0 {
		return maxPoll
	}
	return min(max(time.Duration(float64(since)*float64(all-done)/float64(done)), minPoll), maxPoll)
}

// awaitMails returns when both mails of each shipped order have come, and when the last one came.
func (s *shop) awaitMails(ctx context.Context) (time.Time, error) {
	want := s.placed.accepted * mailsPerOrder
	var n sinkCount
	err := poll(ctx, s.run.cmd.DrainWait, func() (_ time.Duration, err error) {
		if n, err = s.run.stage.sink.count(ctx); err != nil || n.Mails-s.mailsSeen >= want {
			return 0, err
		}
		return minPoll, nil
	})
	if err != nil {
		err = fmt.Errorf("%w: %d of %d (%w)", errMails, n.Mails-s.mailsSeen, want, err)
	}
	return n.Last, err
}

// shipped counts the SHIPPED orders.
func (s *shop) shipped(ctx context.Context) (int, error) {
	return s.db.count(ctx, "SELECT COUNT(*) FROM orders WHERE state = ?", order.Shipped)
}

// lastShipped returns when the last order became SHIPPED, by the clock of the worker, which is this machine's.
func (s *shop) lastShipped(ctx context.Context) (t time.Time, err error) {
	err = s.db.scan(ctx, []any{&t}, "SELECT MAX(updated_at) FROM orders WHERE state = ?", order.Shipped)
	return t, err
}

// states counts the orders by state.
func (s *shop) states(ctx context.Context) (string, error) {
	out := ""
	for _, state := range order.States() {
		n, err := s.db.count(ctx, "SELECT COUNT(*) FROM orders WHERE state = ?", state)
		if err != nil {
			return out, err
		}
		out += fmt.Sprintf("%d %s, ", n, state)
	}
	failed, err := s.db.count(ctx, "SELECT COUNT(*) FROM failed_orders")
	return out + fmt.Sprintf("%d in failed_orders", failed), err
}
