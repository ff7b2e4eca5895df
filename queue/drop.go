package queue

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Drop loses every nth message of one group for good: it is acknowledged and never handed out. It is for tests of what a shop does when
// its broker never redelivers an accepted message to one group, which RocketMQ has done.
func Drop(b Broker, group string, nth int64, log *slog.Logger) Broker {
	return &dropping{Broker: b, group: group, nth: nth, log: log}
}

type dropping struct {
	Broker
	group string
	nth   int64
	log   *slog.Logger
}

// Consumer implements Broker.
func (d *dropping) Consumer(topic, group string) (Consumer, error) {
	c, err := d.Broker.Consumer(topic, group)
	if err != nil || group != d.group {
		return c, err
	}
	return &droppingConsumer{Consumer: c, dropping: d}, nil
}

type droppingConsumer struct {
	Consumer
	*dropping

	received atomic.Int64
}

// Close implements Consumer, which both embedded types do.
func (c *droppingConsumer) Close(ctx context.Context) error { return c.Consumer.Close(ctx) }

// Receive implements Consumer. A message that could not be acknowledged is not lost: it comes again, and may be handed out then.
func (c *droppingConsumer) Receive(ctx context.Context, max int, lease time.Duration) ([]Message, error) {
	messages, err := c.Consumer.Receive(ctx, max, lease)
	var kept []Message
	for _, m := range messages {
		if c.received.Add(1)%c.nth != 0 {
			kept = append(kept, m)
			continue
		}
		ackErr := c.Ack(ctx, m)
		c.log.WarnContext(ctx, "a message was dropped, as --simulate-queue-drop says", "group", c.group, "message", m.ID, "error", ackErr)
	}
	return kept, err
}
