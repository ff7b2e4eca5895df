package workers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// RepairConfig sets up an OrderRepairer.
type RepairConfig struct {
	Partition uint8
	// Interval is the time between two scans that repaired nothing.
	Interval time.Duration
	// After is how long the queue may take to deliver an order's event to SQL.
	After time.Duration
	// MailAfter is how long a confirmation may take: longer than After, because mail is the least urgent work.
	MailAfter time.Duration
	// LookBack is how far back the first scan for missing confirmations goes.
	LookBack time.Duration
	// RescanInterval is how often the scan for missing confirmations goes back by RescanBack: an order's row may be written late, with
	// the earlier time at which the order was paid.
	RescanInterval, RescanBack time.Duration
	// Page is how many orders are read in one statement, LogPage how many ranges of up to 1,000 orders. MaxPages bounds the pages of
	// each kind in one iteration.
	Page, LogPage, MaxPages int
	// MaxMailsDue is how many mails may be due before the scan for missing confirmations waits for the mail dispatcher.
	MaxMailsDue int
}

// DefaultRepairConfig repairs orders a minute after a lost message, and confirmations after two.
func DefaultRepairConfig() RepairConfig {
	return RepairConfig{
		Interval: 3 * time.Second, After: time.Minute, MailAfter: 2 * time.Minute,
		LookBack: 24 * time.Hour, RescanInterval: 10 * time.Minute, RescanBack: 30 * time.Minute,
		Page: 500, LogPage: 10, MaxPages: 10, MaxMailsDue: 1000,
	}
}

// RepairParts are the dependencies of an OrderRepairer. Writer applies missing changes, as it would have applied the message; it needs
// no consumer.
type RepairParts struct {
	Stock       *store.Stock
	Orders      *store.Orders
	DeadLetters *store.DeadLetters
	Mails       *store.Mails
	Cache       *stock.Stock
	Writer      *OrderWriter
	Cancel      Canceller
	Payments    PaymentClient
	Log         *slog.Logger
}

// OrderRepairer repairs orders and confirmations after a lost message: the queue is a wake-up, never the only copy. It compares SQL with
// the dedup log and with the hot orders in Redis, at most RepairConfig.MaxPages pages of each kind in one iteration. Its cursors are in
// memory, so that a new process scans from the beginning once. It is not safe for concurrent use; several processes may each have one,
// because every step is idempotent.
type OrderRepairer struct {
	RepairParts

	cfg RepairConfig
	now func() time.Time
	// logID is the cursor in the dedup log: all orders up to it have a row.
	logID int64
	// again is where the cursor was before rows were written, and againAt when it goes back to there, zero for never: SQL may lose what it committed last.
	again   int64
	againAt time.Time
	// pending is the cursor in the PENDING orders; zero to begin at the oldest.
	pending store.Cursor
	// ended are the cursors in the orders of each state from PAID on; rescanned is when they were last set back.
	ended     map[order.State]store.Cursor
	rescanned time.Time
}

// NewOrderRepairer makes a repairer.
func NewOrderRepairer(cfg RepairConfig, p RepairParts) *OrderRepairer {
	p.Log = p.Log.With("worker", "order_repairer")
	return &OrderRepairer{RepairParts: p, cfg: cfg, now: time.Now, ended: make(map[order.State]store.Cursor)}
}

// Run repairs until ctx ends.
func (r *OrderRepairer) Run(ctx context.Context) {
	poll(ctx, r.Log, r.cfg.Interval, func(ctx context.Context) (int, error) {
		n, more, err := r.scan(ctx)
		if more {
			n++ // The next iteration begins at once.
		}
		return n, err
	})
}

// RunOnce scans once, at most MaxPages pages of each kind, and returns how many orders it repaired.
func (r *OrderRepairer) RunOnce(ctx context.Context) (int, error) {
	n, _, err := r.scan(ctx)
	return n, err
}

// scan runs the three kinds of scan. It runs each of them also if another one fails.
func (r *OrderRepairer) scan(ctx context.Context) (repaired int, more bool, err error) {
	now := r.now()
	var errs []error
	for _, kind := range []func(context.Context, time.Time) (int, bool, error){r.scanLog, r.scanPending, r.scanEnded} {
		n, again, err := kind(ctx, now)
		repaired += n
		more = more || again
		errs = append(errs, err)
	}
	return repaired, more, errors.Join(errs...)
}

// pages calls page until there are no more, it fails, or MaxPages is reached. more reports that MaxPages was reached.
func (r *OrderRepairer) pages(page func() (repaired int, more bool, err error)) (repaired int, more bool, err error) {
	for range r.cfg.MaxPages {
		n, again, err := page()
		repaired += n
		if err != nil || !again {
			return repaired, false, err
		}
	}
	return repaired, true, nil
}
