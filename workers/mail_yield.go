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
	// Max bounds a wait, after which one turn of mails is tried, so that mails go on under a load that does not end. 0: never wait.
	Max time.Duration
}

const (
	// mailsPerTurn is how many mails are tried between two waits: with waits of 2 s, a shop with less than 250 orders a second all the time sends
	// its mails as they come, and in a burst they take a twentieth of the CPU.
	mailsPerTurn = 500
	// mailYieldQuiet is how long the order path must have been idle: longer than the relay and the flusher linger between two small batches.
	mailYieldQuiet = 300 * time.Millisecond
	// mailYieldInterval is the time between two reads of Activity.
	mailYieldInterval = 20 * time.Millisecond
)

// mailIteration is one iteration of a worker that sends mail. It returns how many mails are done, and how many it tried, also with an error:
// those that fail take the same CPU.
type mailIteration func(ctx context.Context) (done, tried int, err error)

// turns makes an iteration wait after each turn of mails.
func (y MailYield) turns(iterate mailIteration) func(context.Context) (int, error) {
	left := mailsPerTurn
	return func(ctx context.Context) (int, error) {
		if left <= 0 {
			if y.wait(ctx); ctx.Err() != nil {
				return 0, ctx.Err()
			}
			left = mailsPerTurn
		}
		done, tried, err := iterate(ctx)
		left -= tried
		return done, err
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
