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

// leases is a Consumer that remembers which messages are received and not acknowledged, until leaseReserve before their leases end, so that a worker that
// stops releases them. Otherwise they would be delivered again when their leases end, which is up to a minute later. A worker that fails again and again holds
// what it receives in one lease.
type leases struct {
	queue.Consumer

	mu   sync.Mutex
	held []leased
}

// leased is what Release needs of a message.
type leased struct {
	queue.Message

	// until is when leaseReserve begins.
	until time.Time
}

// Receive implements queue.Consumer.
func (l *leases) Receive(ctx context.Context, most int, lease time.Duration) ([]queue.Message, error) {
	messages, err := l.Consumer.Receive(ctx, most, lease)
	l.forget(messages)
	l.mu.Lock()
	defer l.mu.Unlock()
	until := time.Now().Add(lease - leaseReserve)
	for _, m := range messages {
		l.held = append(l.held, leased{queue.Message{ID: m.ID, Attempt: m.Attempt, Receipt: m.Receipt}, until})
	}
	return messages, err
}

// Ack implements queue.Consumer.
func (l *leases) Ack(ctx context.Context, messages ...queue.Message) error {
	err := l.Consumer.Ack(ctx, messages...)
	if err == nil {
		l.forget(messages)
	}
	return err
}

// forget forgets the messages, and those with a lease that is over.
func (l *leases) forget(messages []queue.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.held = slices.DeleteFunc(l.held, func(h leased) bool {
		return now.After(h.until) || slices.ContainsFunc(messages, func(m queue.Message) bool { return m.ID == h.ID })
	})
}

// releaseHeld releases the messages that are not acknowledged. A worker calls it when it stops, also when ctx has ended. It is best effort.
func (l *leases) releaseHeld(ctx context.Context, log *slog.Logger) {
	l.forget(nil)
	l.mu.Lock()
	held := make([]queue.Message, len(l.held))
	for i, h := range l.held {
		held[i] = h.Message
	}
	l.held = nil
	l.mu.Unlock()
	if len(held) == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if err := l.Release(ctx, held...); err != nil {
		log.WarnContext(ctx, "failed to release messages; they are delivered again when their leases end", "messages", len(held), "error", err)
		return
	}
	log.DebugContext(ctx, "released messages that were not done", "messages", len(held))
}
