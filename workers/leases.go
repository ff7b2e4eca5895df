package workers

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/spillway/spillway/queue"
)

// leaseReserve is the end of a lease in which its messages are not released: another consumer may hold them soon.
const leaseReserve = 5 * time.Second

// leases is a Consumer that remembers which messages of the last Receive are not acknowledged, so that a worker that stops releases them.
// Otherwise they would be delivered again when their leases end, which is up to a minute later.
type leases struct {
	queue.Consumer

	mu   sync.Mutex
	held []queue.Message
	// until is when leaseReserve begins.
	until time.Time
}

// Receive forgets the messages of the Receive before: those that are not acknowledged failed, and wait for the end of their leases.
func (l *leases) Receive(ctx context.Context, most int, lease time.Duration) ([]queue.Message, error) {
	messages, err := l.Consumer.Receive(ctx, most, lease)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held, l.until = slices.Clone(messages), time.Now().Add(lease-leaseReserve)
	return messages, err
}

// Ack forgets what it acknowledged.
func (l *leases) Ack(ctx context.Context, messages ...queue.Message) error {
	if err := l.Consumer.Ack(ctx, messages...); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = slices.DeleteFunc(l.held, func(h queue.Message) bool {
		return slices.ContainsFunc(messages, func(m queue.Message) bool { return m.ID == h.ID })
	})
	return nil
}

// releaseHeld releases the messages that are not acknowledged. A worker calls it when it stops, also when ctx has ended. It is best effort.
func (l *leases) releaseHeld(ctx context.Context, log *slog.Logger) {
	l.mu.Lock()
	held, until := l.held, l.until
	l.held = nil
	l.mu.Unlock()
	if len(held) == 0 || time.Now().After(until) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if err := l.Release(ctx, held...); err != nil {
		log.WarnContext(ctx, "failed to release messages; they are delivered again when their leases end", "messages", len(held), "error", err)
		return
	}
	log.DebugContext(ctx, "released messages that were not done", "messages", len(held))
}
