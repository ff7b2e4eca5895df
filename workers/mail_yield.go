package workers

import (
	"context"
	"time"
)

// MailYield lets a worker that sends mail wait while the order path of its process is busy: mail is the least urgent work and takes as much
// CPU as the rest of the drain. The zero value never waits.
type MailYield struct {
	// Activity is that of the order path.
	Activity *Activity
	// Max bounds a wait, after which one turn of mails is sent, so that mails go on under a load that does not end. 0: never wait.
	Max time.Duration
}

const (
	// mailsPerTurn is how many mails are sent between two waits: with waits of 2 s, a shop with less than 250 orders a second all the time sends
	// its mails as they come, and in a burst they take a twentieth of the CPU.
	mailsPerTurn = 500
	// mailYieldQuiet is how long the order path must have been idle: longer than the relay and the flusher linger between two small batches.
	mailYieldQuiet = 300 * time.Millisecond
	// mailYieldInterval is the time between two reads of Activity.
	mailYieldInterval = 20 * time.Millisecond
)

// turns wraps an iteration that returns how many mails it sent.
func (y MailYield) turns(runOnce func(context.Context) (int, error)) func(context.Context) (int, error) {
	left := mailsPerTurn
	return func(ctx context.Context) (int, error) {
		if left <= 0 {
			if y.wait(ctx); ctx.Err() != nil {
				return 0, ctx.Err()
			}
			left = mailsPerTurn
		}
		n, err := runOnce(ctx)
		left -= n
		return n, err
	}
}

// wait returns when the order path is idle, after Max, or when ctx ends.
func (y MailYield) wait(ctx context.Context) {
	for end := time.Now().Add(y.Max); ctx.Err() == nil && y.Activity.Active(mailYieldQuiet); {
		left := time.Until(end)
		if left <= 0 {
			return
		}
		sleep(ctx, min(left, mailYieldInterval))
	}
}

// Yield returns what WithYield has set.
func (m *Mailer) Yield() MailYield { return m.yield }

// Yield returns what WithYield has set.
func (d *MailDispatcher) Yield() MailYield { return d.yield }
