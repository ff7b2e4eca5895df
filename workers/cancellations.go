package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

const (
	// cancelBackoffMin and cancelBackoffMax bound the pause before a cancellation that failed is tried again. It is never given up:
	// somebody's money depends on it.
	cancelBackoffMin = time.Second
	cancelBackoffMax = 5 * time.Minute
	// flushPause is after how long it is looked whether the flusher gave units back; it takes a few milliseconds.
	flushPause = 200 * time.Millisecond
)

// CancellationStore keeps the intents.
type CancellationStore interface {
	Due(ctx context.Context, now time.Time, limit int) ([]store.Cancellation, error)
	EnsureCancelled(ctx context.Context, x store.Cancellation) (adopted bool, err error)
	Refunded(ctx context.Context, id order.ID, amount order.Money) error
	Defer(ctx context.Context, id order.ID, at time.Time, failed bool) error
	Finish(ctx context.Context, id order.ID) (finished bool, err error)
}

// Restocker gives units back through Redis and the journal.
type Restocker interface {
	OpenEpoch() (int64, error)
	Restock(ctx context.Context, epoch int64, id order.ID, customer order.CustomerID, units []order.Delta, reason string) (journal.Offset, error)
}

// CancellationFinisher carries out what the intents say: the money goes back, then the units, then the customer is told. Each step is
// idempotent and written down, so that a crash between any two costs a repetition.
type CancellationFinisher struct {
	intents CancellationStore
	money   PaymentClient
	stock   Restocker
	log     *slog.Logger
	now     func() time.Time
}

// NewCancellationFinisher makes a finisher. Several may run.
func NewCancellationFinisher(intents CancellationStore, money PaymentClient, st Restocker, log *slog.Logger) *CancellationFinisher {
	return &CancellationFinisher{intents: intents, money: money, stock: st, now: time.Now, log: log.With("worker", "cancellation_finisher")}
}

// Run finishes cancellations until ctx ends.
func (f *CancellationFinisher) Run(ctx context.Context) { patiently(ctx, f.log, f.RunOnce) }

// RunOnce takes what is due and returns how many cancellations it took a step further.
func (f *CancellationFinisher) RunOnce(ctx context.Context) (int, error) {
	// Before SQL is asked: a script that sees another epoch refuses, so that nothing is given back on the word of an earlier look.
	epoch, err := f.stock.OpenEpoch()
	if err != nil {
		return 0, err
	}
	due, err := f.intents.Due(ctx, f.now(), recoveryBatch)
	if err != nil {
		return 0, err
	}
	return tryEach(ctx, recoveryConcurrency, due, func(x store.Cancellation) error {
		if err := f.advance(ctx, epoch, x); err != nil {
			return fmt.Errorf("cancellation of %s: %w", x.OrderID, err)
		}
		return nil
	})
}

// advance does what is left of one cancellation, and puts it off when that failed or the flusher has to come first.
func (f *CancellationFinisher) advance(ctx context.Context, epoch int64, x store.Cancellation) error {
	confirmed, err := f.step(ctx, epoch, x)
	if err != nil {
		return errors.Join(err, f.intents.Defer(ctx, x.OrderID, f.now().Add(cancelBackoff(x.Attempts)), true))
	}
	finished, err := f.intents.Finish(ctx, x.OrderID)
	switch {
	case err != nil:
		return err
	case !finished && !confirmed: // The confirmation makes it due at once.
		return f.intents.Defer(ctx, x.OrderID, f.now().Add(cancelBackoff(x.Attempts)), true)
	case !finished:
		return f.intents.Defer(ctx, x.OrderID, f.now().Add(flushPause), false)
	}
	f.log.InfoContext(ctx, "a cancellation is finished: money and units are back", "order", x.OrderID, "reason", x.Reason.Text)
	return nil
}

// step takes the steps that are left, and says whether the provider has confirmed the refund, if there is one: the units do not wait for that.
func (f *CancellationFinisher) step(ctx context.Context, epoch int64, x store.Cancellation) (confirmed bool, err error) {
	adopted, err := f.intents.EnsureCancelled(ctx, x)
	if err != nil || !adopted {
		return true, err
	}
	confirmed = x.Refunded
	if !confirmed {
		var amount order.Money
		if amount, confirmed, err = giveBack(ctx, f.money, x.OrderID, x.Reason.Text); err != nil {
			return false, err
		}
		if confirmed {
			if err := f.intents.Refunded(ctx, x.OrderID, amount); err != nil {
				return false, err
			}
		}
	}
	if x.Restocked {
		return confirmed, nil
	}
	_, err = f.stock.Restock(ctx, epoch, x.OrderID, x.Customer, x.Units, x.Reason.Encode())
	return confirmed, err
}

// cancelBackoff is the wait after so many failed attempts.
func cancelBackoff(attempts int) time.Duration {
	return backoffFor(attempts, cancelBackoffMin, cancelBackoffMax)
}

// backoffFor doubles the wait with each attempt.
func backoffFor(attempts int, least, most time.Duration) time.Duration {
	d := least
	for range attempts {
		if d *= 2; d >= most {
			return most
		}
	}
	return d
}
