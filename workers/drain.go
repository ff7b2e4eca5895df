package workers

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// DrainConfig sets up a DeadLetterDrain.
type DrainConfig struct {
	// Group is the consumer group from which the broker moved the messages to the dead-letter topic.
	Group string
	// Messages is how many messages one iteration takes.
	Messages int
	// Lease is how long the messages are leased: several times as long as writing them takes.
	Lease time.Duration
}

// DefaultDrainConfig takes 8 messages, each of which may hold hundreds of events.
func DefaultDrainConfig(group string) DrainConfig {
	return DrainConfig{Group: group, Messages: 8, Lease: 30 * time.Second}
}

// sourceBroker is the prefix of the source of the broker's dead letters; the group follows.
const sourceBroker = "broker/"

// DeadLetterDrain moves the messages of a group's dead-letter topic to failed_orders, where an operator sees them. It takes
// DrainConfig.Messages an iteration and acknowledges them once all are written; after a failure they are delivered again.
type DeadLetterDrain struct {
	cfg      DrainConfig
	consumer *leases
	dead     DeadLetters
	log      *slog.Logger
}

// NewDeadLetterDrain makes a drain on a consumer of the group's dead-letter topic.
func NewDeadLetterDrain(cfg DrainConfig, c queue.Consumer, dead DeadLetters, log *slog.Logger) *DeadLetterDrain {
	return &DeadLetterDrain{cfg: cfg, consumer: &leases{Consumer: c}, dead: dead, log: log.With("worker", "dead_letter_drain", "group", cfg.Group)}
}

// Run drains until ctx ends.
func (d *DeadLetterDrain) Run(ctx context.Context) {
	defer d.consumer.releaseHeld(ctx, d.log)
	loop(ctx, d.log, d.RunOnce)
}

// RunOnce writes the messages of one Receive and returns their number. They are acknowledged when all are written.
func (d *DeadLetterDrain) RunOnce(ctx context.Context) (int, error) {
	messages, err := d.consumer.Receive(ctx, d.cfg.Messages, d.cfg.Lease)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	dead := make([]store.DeadLetter, len(messages))
	for i, m := range messages {
		dead[i] = d.deadLetter(m)
	}
	if err := d.dead.Put(ctx, dead...); err != nil {
		return 0, fmt.Errorf("write to failed_orders: %w", err)
	}
	for _, m := range messages {
		d.log.ErrorContext(ctx, "message from the broker's dead-letter topic is in failed_orders", "message_id", m.ID, "attempt", m.Attempt)
	}
	if err := d.consumer.Ack(ctx, messages...); err != nil {
		return 0, fmt.Errorf("acknowledge: %w", err)
	}
	return len(messages), nil
}

func (d *DeadLetterDrain) deadLetter(m queue.Message) store.DeadLetter {
	source := sourceBroker + d.cfg.Group
	f := store.DeadLetter{
		DedupKey: source + "/" + m.ID, Source: source, Payload: m.Body,
		Attempts: m.Attempt, TraceID: wire.TraceID(m.Headers[traceHeader]), // That of the batch that was sent.
		Reason: fmt.Sprintf("the broker gave up after %d deliveries to the group %s; the log of the workers has the error of each", m.Attempt, d.cfg.Group),
	}
	batch, typ, err := batchOf(m)
	if f.PayloadType = typ; typ == wire.TypeCorrupt {
		f.Reason = oneLine(err)
	}
	// The dead letter of a message with one event has that event's order and trace.
	if err == nil && len(batch.GetEvents()) == 1 {
		f.OrderID = batch.GetEvents()[0].GetOrderId()
		if id := wire.TraceID(batch.GetEvents()[0].GetTraceparent()); id != "" {
			f.TraceID = id
		}
	}
	return f
}
