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
	// Group is the one for which the broker gave the messages up.
	Group string
	// Messages is how many messages one turn takes.
	Messages int
	// Lease is how long the messages stay this drain's own: several times what writing them takes.
	Lease time.Duration
}

// DefaultDrainConfig takes 8 messages, each of which may hold hundreds of events.
func DefaultDrainConfig(group string) DrainConfig {
	return DrainConfig{Group: group, Messages: 8, Lease: 30 * time.Second}
}

// sourceBroker begins the source of what the broker gave up; the group follows.
const sourceBroker = "broker/"

// DeadLetterDrain brings what the broker gave up for a group to failed_orders, where an operator sees it.
type DeadLetterDrain struct {
	cfg      DrainConfig
	consumer queue.Consumer
	dead     DeadLetters
	log      *slog.Logger
}

// NewDeadLetterDrain makes a drain on a consumer of the group's dead-letter topic.
func NewDeadLetterDrain(cfg DrainConfig, c queue.Consumer, dead DeadLetters, log *slog.Logger) *DeadLetterDrain {
	return &DeadLetterDrain{cfg: cfg, consumer: c, dead: dead, log: log.With("worker", "dead_letter_drain", "group", cfg.Group)}
}

// Run drains until ctx ends.
func (d *DeadLetterDrain) Run(ctx context.Context) { loop(ctx, d.log, d.RunOnce) }

// RunOnce writes what one Receive brings and returns how many messages that were. They are acknowledged when all are written.
func (d *DeadLetterDrain) RunOnce(ctx context.Context) (int, error) {
	messages, err := d.consumer.Receive(ctx, d.cfg.Messages, d.cfg.Lease)
	if err != nil || len(messages) == 0 {
		return 0, err
	}
	for _, m := range messages {
		if err := d.dead.Put(ctx, d.letter(m)); err != nil {
			return 0, fmt.Errorf("write to failed_orders: %w", err)
		}
		d.log.ErrorContext(ctx, "the broker gave a message up; it is in failed_orders", "message", m.ID, "attempts", m.Attempt)
	}
	if err := d.consumer.Ack(ctx, messages...); err != nil {
		return 0, fmt.Errorf("acknowledge: %w", err)
	}
	return len(messages), nil
}

func (d *DeadLetterDrain) letter(m queue.Message) store.DeadLetter {
	source := sourceBroker + d.cfg.Group
	f := store.DeadLetter{
		DedupKey: source + "/" + m.ID, Source: source, PayloadType: wire.TypeBatch, Payload: m.Body,
		Attempts: m.Attempt, TraceID: wire.TraceID(m.Headers[headerTrace]),
		Reason: fmt.Sprintf("the broker gave the message up after %d deliveries to the group %s; the workers' log says why each failed", m.Attempt, d.cfg.Group),
	}
	// A message of one event is that order's.
	if batch, err := wire.UnmarshalBatch(m.Body); err == nil && len(batch.GetEvents()) == 1 {
		f.OrderID = batch.GetEvents()[0].GetOrderId()
		if f.TraceID == "" {
			f.TraceID = wire.TraceID(batch.GetEvents()[0].GetTraceparent())
		}
	}
	return f
}
