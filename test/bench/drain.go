package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
)

const (
	// drainInterval is the time between two counts. A count reads an index of all orders: more of them would slow down
	// what is measured, and a drain takes seconds.
	drainInterval = 200 * time.Millisecond
	// settleTimeout is the time for which calls without a response may still become orders before the totals are
	// compared.
	settleTimeout = 5 * time.Second
	// abandonTimeout is the maximum time that an interrupted run waits until its topic is empty.
	abandonTimeout = 20 * time.Second
)

// drained is the result of the drain from accepted orders to SHIPPED rows.
type drained struct {
	shipped int
	// duringLoad of them were SHIPPED when the load stopped.
	duringLoad int
	// whole is the time from the first accepted order to the last SHIPPED one, backlog from the end of the load.
	whole, backlog time.Duration
}

// perSecond is the rate of all orders.
func (d drained) perSecond() float64 { return rate(d.shipped, d.whole) }

// backlogPerSecond is the rate after the load stopped.
func (d drained) backlogPerSecond() float64 { return rate(d.shipped-d.duringLoad, d.backlog) }

// loadPerSecond is the rate during the load.
func (d drained) loadPerSecond() float64 { return rate(d.duringLoad, d.whole-d.backlog) }

var errDrain = errors.New("not all accepted orders are SHIPPED")

// drain waits until the accepted orders are SHIPPED. Its result is valid also after an error.
func (s *shop) drain(ctx context.Context, placed outcome, wait time.Duration) (drained, error) {
	var d drained
	var err error
	if d.duringLoad, err = s.shipped(ctx); err != nil {
		return d, err
	}
	err = poll(ctx, wait, func() (bool, error) {
		// The cheap count includes orders of other shops on the topic.
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

// poll calls done until it returns true, at most for the wait.
func poll(ctx context.Context, wait time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	tick := time.NewTicker(drainInterval)
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

// states counts the orders of the hot product by state.
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

// totals are the numbers that must be consistent at the end.
type totals struct {
	InitialStock int  `json:"initial_stock"`
	StockLeft    int  `json:"stock_left"`
	Accepted     int  `json:"accepted"`
	Unknown      int  `json:"unknown"` // calls without a definite response, which may be orders or not
	Shipped      int  `json:"shipped"`
	Foreign      int  `json:"foreign"` // orders of other shops on the topic
	Close        bool `json:"close"`
}

// consistent reports whether each accepted order is SHIPPED and the stock fell by as many units.
func (b totals) consistent() bool {
	sold := b.InitialStock - b.StockLeft
	return sold == b.Shipped && b.Shipped >= b.Accepted && b.Shipped <= b.Accepted+b.Unknown
}

var errInconsistent = errors.New("the totals are inconsistent")

// compare reads the totals until they are consistent, for at most settleTimeout, because a call without a response may
// still become an order.
func (s *shop) compare(ctx context.Context, placed outcome, d drained) (totals, error) {
	b := totals{InitialStock: initialStock, Accepted: placed.accepted, Unknown: placed.unknown(), Shipped: d.shipped}
	err := poll(ctx, settleTimeout, func() (_ bool, err error) {
		if b.Shipped, err = s.shipped(ctx); err != nil {
			return false, err
		}
		b.StockLeft, err = s.count(ctx, "SELECT stock FROM products WHERE sku = ?", s.sku)
		b.Close = err == nil && b.consistent()
		return b.Close, err
	})
	all, cerr := s.count(ctx, "SELECT COUNT(*) FROM orders")
	own, oerr := s.count(ctx, "SELECT COUNT(*) FROM order_items WHERE sku = ?", s.sku)
	b.Foreign = all - own
	if !b.Close {
		err = fmt.Errorf("%w (%w)", errInconsistent, err)
	}
	return b, errors.Join(err, cerr, oerr)
}

// mails waits for the mails, so that the next run does not receive their messages, and returns their rate as text.
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

// abandon lets the orders of an interrupted run drain. Its database is dropped: messages that stayed in the topic would
// delay the shipper of the next run, which would wait for rows that never arrive.
func (s *shop) abandon(placed outcome) {
	if placed.accepted == 0 {
		return
	}
	progress("interrupted; letting %d orders drain, for at most %s ...", placed.accepted, 2*abandonTimeout)
	ctx := context.Background()
	if _, err := s.drain(ctx, placed, abandonTimeout); err != nil {
		progress("%v", err)
		return
	}
	progress("%s", s.mails(ctx, placed, abandonTimeout))
}
