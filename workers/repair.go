package workers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// RepairConfig sets up an OrderRepairer.
type RepairConfig struct {
	Partition uint8
	// Interval is the time between two scans that repaired nothing.
	Interval time.Duration
	// After is how long the queue may take to bring what happened to an order to SQL.
	After time.Duration
	// MailAfter is how long a confirmation may take: longer than After, because mail is the least urgent work.
	MailAfter time.Duration
	// LookBack is how far back the first scan for missing confirmations goes.
	LookBack time.Duration
	// RescanInterval is how often the scan for missing confirmations goes back by RescanBack: an order's row may be written late, with
	// the earlier time at which the order was paid.
	RescanInterval, RescanBack time.Duration
	// Page is how many orders are read in one statement, LogPage how many ranges of about 200 orders. MaxPages bounds the pages of
	// each kind in one iteration.
	Page, LogPage, MaxPages int
	// MaxMailsDue is how many mails may be due before the scan for missing confirmations waits for the mail dispatcher.
	MaxMailsDue int
}

// DefaultRepairConfig repairs what the queue did not bring within a minute, and mails within two.
func DefaultRepairConfig() RepairConfig {
	return RepairConfig{
		Interval: 3 * time.Second, After: time.Minute, MailAfter: 2 * time.Minute,
		LookBack: 24 * time.Hour, RescanInterval: 10 * time.Minute, RescanBack: 30 * time.Minute,
		Page: 500, LogPage: 10, MaxPages: 10, MaxMailsDue: 1000,
	}
}

// RepairBooks is what SQL knows of the journal.
type RepairBooks interface {
	EpochAt(ctx context.Context, partition uint8, number int64) (journal.Epoch, error)
	ReadLog(ctx context.Context, partition uint8, after int64, limit int) ([]store.LogRow, error)
	Unknown(ctx context.Context, ids []order.ID) ([]order.ID, error)
}

// RepairOrders is what an OrderRepairer needs of the orders' rows.
type RepairOrders interface {
	InState(ctx context.Context, state order.State, after store.Cursor, before time.Time, limit int) ([]store.Cursor, error)
	Duplicates(ctx context.Context, ids []order.ID) ([]store.Duplicate, error)
}

// RepairLetters knows which orders wait for an operator.
type RepairLetters interface {
	OpenFor(ctx context.Context, ids []order.ID) ([]order.ID, error)
}

// RepairMails knows which confirmations are missing, and makes them due.
type RepairMails interface {
	Unsent(ctx context.Context, kind order.MailKind, ids []order.ID, deadKeys []string) ([]order.ID, error)
	AddAllDue(ctx context.Context, kind order.MailKind, ids []order.ID) error
	CountDue(ctx context.Context, limit int) (int, error)
}

// OrderCache is Redis' records of hot orders.
type OrderCache interface {
	HotStates
	HotRecords
	HotOrder(ctx context.Context, id order.ID) (stock.HotOrder, error)
}

// RepairParts are what an OrderRepairer works on. Writer applies what is missing, as it would have applied the message; it needs no
// consumer.
type RepairParts struct {
	Books   RepairBooks
	Orders  RepairOrders
	Letters RepairLetters
	Mails   RepairMails
	Cache   OrderCache
	Writer  *OrderWriter
	Cancel  Canceller
	Log     *slog.Logger
}

// OrderRepairer finds what a lost message of the queue left undone and does it: the queue is a wake-up, never the only copy. It compares
// SQL with the dedup log and with the orders' records in Redis. Its cursors are in memory, so that a new process scans once more from the
// beginning. It is not safe for concurrent use; several processes may each have one, because every step is idempotent.
type OrderRepairer struct {
	RepairParts

	cfg RepairConfig
	now func() time.Time
	// logID is the row of the dedup log up to which all orders have a row.
	logID int64
	// pending is the place in the PENDING orders where the last scan ended, if there were more.
	pending store.Cursor
	// ended are the places in the orders of each state from PAID on, rescanned when they last went back.
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

// scan runs the three kinds of scan. One that fails does not keep the others from their work.
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

// pages calls page until there are no more, it fails, or MaxPages is reached.
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
