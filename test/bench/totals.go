package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// settleTimeout is the time for which calls without a response may still become orders before the totals are
	// compared.
	settleTimeout = 5 * time.Second
	// settlePoll is the time between two comparisons.
	settlePoll = 200 * time.Millisecond
	// auditWait is the time that the audit may wait for the last change to arrive.
	auditWait = time.Minute
)

// totals are the numbers that must be consistent at the end, of all shops of the run.
type totals struct {
	InitialStock int  `json:"initial_stock"`
	StockLeft    int  `json:"stock_left"`
	Accepted     int  `json:"accepted"`
	Unknown      int  `json:"unknown"` // calls without a definite response, which may be orders or not
	Shipped      int  `json:"shipped"`
	Units        int  `json:"units"`  // in the shipped orders
	Audits       int  `json:"audits"` // one per shop, without a violation
	Close        bool `json:"close"`
}

// consistent reports whether each accepted order is SHIPPED and the stock fell by as many units.
func (b totals) consistent() bool {
	return b.InitialStock-b.StockLeft == b.Units && b.Shipped >= b.Accepted && b.Shipped <= b.Accepted+b.Unknown
}

// add adds the totals of one shop.
func (b *totals) add(o totals) {
	if b.Audits == 0 && b.Accepted == 0 {
		b.Close = true
	}
	b.InitialStock += o.InitialStock
	b.StockLeft += o.StockLeft
	b.Accepted += o.Accepted
	b.Unknown += o.Unknown
	b.Shipped += o.Shipped
	b.Units += o.Units
	b.Audits += o.Audits
	b.Close = b.Close && o.Close
}

var errInconsistent = errors.New("the totals are inconsistent")

// settle drains what is left, compares the totals and audits the shop. The run fails if either finds a mistake.
func (s *shop) settle(ctx context.Context) error {
	if s.work == nil {
		if err := s.startWork(); err != nil {
			return err
		}
	}
	if err := s.awaitShipped(ctx); err != nil {
		return err
	}
	if _, err := s.awaitMails(ctx); err != nil {
		return err
	}
	b, err := s.compare(ctx)
	if err == nil {
		err = s.audit(ctx)
	}
	if err == nil {
		b.Audits = 1
	}
	s.run.totals.add(b)
	return err
}

// compare reads the totals until they are consistent, for at most settleTimeout, because a call without a response may
// still become an order.
func (s *shop) compare(ctx context.Context) (totals, error) {
	b := totals{Accepted: s.placed.accepted, Unknown: s.placed.unknown()}
	for _, n := range s.stock {
		b.InitialStock += n
	}
	err := poll(ctx, settleTimeout, func() (_ time.Duration, err error) {
		if b.Shipped, err = s.shipped(ctx); err != nil {
			return 0, err
		}
		// The units of orders that were cancelled are back in the stock.
		if b.Units, err = s.db.count(ctx, "SELECT COALESCE(SUM(i.quantity), 0) FROM order_items i JOIN orders o ON o.id = i.order_id WHERE o.state = 3"); err != nil {
			return 0, err
		}
		if b.StockLeft, err = s.db.count(ctx, "SELECT COALESCE(SUM(stock), 0) FROM products WHERE name = ?", productName); err != nil {
			return 0, err
		}
		if b.Close = b.consistent(); b.Close {
			return 0, nil
		}
		return settlePoll, nil
	})
	if !b.Close {
		err = fmt.Errorf("%w: %s (%w)", errInconsistent, b, err)
	}
	return b, err
}

// audit checks the shop's data with spillway's own audit. Violations are its exit status 3.
func (s *shop) audit(ctx context.Context) error {
	stage := s.run.stage
	args := s.build.args(roleAudit, "drained", "wait="+auditWait.String(), "redis="+stage.redis, "redis-namespace="+s.namespace)
	return stage.command(ctx, auditWait+commandTimeout, stage.dir, s.environment(), s.build.binary, args...)
}

// String formats the totals with the verdict.
func (b totals) String() string {
	verdict := "INCONSISTENT TOTALS"
	if b.Close {
		verdict = "consistent totals"
	}
	text := fmt.Sprintf("%s: %d accepted, %d SHIPPED with %d units, stock %d - %d = %d; %d shops passed the audit",
		verdict, b.Accepted, b.Shipped, b.Units, b.InitialStock, b.InitialStock-b.StockLeft, b.StockLeft, b.Audits)
	if b.Unknown > 0 {
		text += fmt.Sprintf("; %d calls without a definite response", b.Unknown)
	}
	return text
}
