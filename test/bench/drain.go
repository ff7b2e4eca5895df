package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
)

const (
	// drainPoll is the pause between two counts. A count reads an index of all orders: more often would slow down what is
	// measured, and a drain takes seconds.
	drainPoll = 200 * time.Millisecond
	// stillWait is for how long the last unanswered calls may still become orders when the books are closed.
	stillWait = 5 * time.Second
	// abandonWait bounds how long an interrupted run waits for its topic to run empty.
	abandonWait = 20 * time.Second
)

// drained is how the accepted orders became SHIPPED rows.
type drained struct {
	shipped int
	// duringLoad of them were SHIPPED when the load stopped.
	duringLoad int
	// whole is from the first accepted order to the last SHIPPED one, backlog from the end of the load.
	whole, backlog time.Duration
}

// perSecond is the rate of all orders.
func (d drained) perSecond() float64 { return rate(d.shipped, d.whole) }

// backlogPerSecond is the rate after the load stopped.
func (d drained) backlogPerSecond() float64 { return rate(d.shipped-d.duringLoad, d.backlog) }

// loadPerSecond is the rate beside the load.
func (d drained) loadPerSecond() float64 { return rate(d.duringLoad, d.whole-d.backlog) }

var errDrain = errors.New("not all accepted orders are SHIPPED")

// drain waits until the accepted orders are SHIPPED. What it returns counts also after an error.
func (s *shop) drain(ctx context.Context, placed outcome, wait time.Duration) (drained, error) {
	var d drained
	var err error
	if d.duringLoad, err = s.shipped(ctx); err != nil {
		return d, err
	}
	err = poll(ctx, wait, func() (bool, error) {
		// The cheap count includes orders of others who use the topic.
		n, err := s.count(ctx, "SELECT COUNT(*) FROM orders WHERE state = ?", order.Shipped)
		if err == nil && n >= placed.accepted {
			n, err = s.shipped(ctx)
		}
		d.shipped, d.whole, d.backlog = n, time.Since(placed.first), time.Since(placed.stopped)
		return n >= placed.accepted, err
	})
	if err != nil && ctx.Err() == nil {
		states, serr := s.states(ctx)
		err = fmt.Errorf("%w: %d of %d after %s; in MySQL: %s; does another spillway read the topic? (%w)",
			errDrain, d.shipped, placed.accepted, wait, states, errors.Join(err, serr))
	}
	return d, err
}

// poll calls done until it says so, at most for the wait.
func poll(ctx context.Context, wait time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// shipped counts the SHIPPED orders of the hot product.
func (s *shop) shipped(ctx context.Context) (int, error) {
	return s.count(ctx, "SELECT COUNT(*) FROM order_items i JOIN orders o ON o.id = i.order_id WHERE i.sku = ? AND o.state = ?", s.sku, order.Shipped)
}

func (s *shop) count(ctx context.Context, query string, args ...any) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = s.stage.db.QueryRowContext(ctx, query, args...).Scan(&n)
	return n, err
}

// states says how many orders of the hot product are in which state.
func (s *shop) states(ctx context.Context) (string, error) {
	out := ""
	for _, state := range order.States() {
		n, err := s.count(ctx, "SELECT COUNT(*) FROM order_items i JOIN orders o ON o.id = i.order_id WHERE i.sku = ? AND o.state = ?", s.sku, state)
		if err != nil {
			return out, err
		}
		out += fmt.Sprintf("%d %s, ", n, state)
	}
	failed, err := s.count(ctx, "SELECT COUNT(*) FROM failed_orders")
	return out + fmt.Sprintf("%d in failed_orders", failed), err
}

// books are what must add up at the end.
type books struct {
	InitialStock int  `json:"initial_stock"`
	StockLeft    int  `json:"stock_left"`
	Accepted     int  `json:"accepted"`
	Unknown      int  `json:"unknown"` // calls without a definite answer, which may be orders or not
	Shipped      int  `json:"shipped"`
	Foreign      int  `json:"foreign"` // orders of others who use the topic
	Close        bool `json:"close"`
}

// add says whether they do: each accepted order is SHIPPED, and the stock fell by as many units.
func (b books) add() bool {
	sold := b.InitialStock - b.StockLeft
	return sold == b.Shipped && b.Shipped >= b.Accepted && b.Shipped <= b.Accepted+b.Unknown
}

var errBooks = errors.New("the books do not close")

// close closes the books. A call that was not answered may still become an order, so they are looked at until they add up, for
// a short while.
func (s *shop) close(ctx context.Context, placed outcome, d drained) (books, error) {
	b := books{InitialStock: initialStock, Accepted: placed.accepted, Unknown: placed.unknown(), Shipped: d.shipped}
	err := poll(ctx, stillWait, func() (_ bool, err error) {
		if b.Shipped, err = s.shipped(ctx); err != nil {
			return false, err
		}
		b.StockLeft, err = s.count(ctx, "SELECT stock FROM products WHERE sku = ?", s.sku)
		b.Close = err == nil && b.add()
		return b.Close, err
	})
	all, cerr := s.count(ctx, "SELECT COUNT(*) FROM orders")
	own, oerr := s.count(ctx, "SELECT COUNT(*) FROM order_items WHERE sku = ?", s.sku)
	b.Foreign = all - own
	if !b.Close {
		err = fmt.Errorf("%w (%w)", errBooks, err)
	}
	return b, errors.Join(err, cerr, oerr)
}

// mails waits for the mails, so that the next run does not find their messages, and says how fast they went.
func (s *shop) mails(ctx context.Context, placed outcome, wait time.Duration) string {
	sent := 0
	err := poll(ctx, wait, func() (_ bool, err error) {
		sent, err = s.count(ctx, "SELECT COUNT(*) FROM sent_mails")
		return sent >= placed.accepted, err
	})
	text := fmt.Sprintf("mails: %.0f a second, from the first order to the last mail", rate(sent, time.Since(placed.first)))
	if err != nil {
		text = fmt.Sprintf("mails: %d of %d sent: the next run will find the rest in the topic (%v)", sent, placed.accepted, err)
	}
	return text
}

// abandon lets the orders of an interrupted run drain. Its database goes: what stayed in the topic would hold up the shipper of
// the next run, which would wait for rows that never come.
func (s *shop) abandon(placed outcome) {
	if placed.accepted == 0 {
		return
	}
	say("interrupted; letting %d orders drain, for at most %s ...", placed.accepted, 2*abandonWait)
	ctx := context.Background()
	if _, err := s.drain(ctx, placed, abandonWait); err != nil {
		say("%v", err)
		return
	}
	say("%s", s.mails(ctx, placed, abandonWait))
}
