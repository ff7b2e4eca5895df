package queue

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Drop returns a Broker that acknowledges every nth message of one group without delivering it, so that the message is
// lost. It simulates a broker that never redelivers an accepted message to one group, as RocketMQ has done.
func Drop(b Broker, group string, nth int64, log *slog.Logger) Broker {
	return &dropBroker{Broker: b, group: group, nth: nth, log: log}
}

type dropBroker struct {
	Broker
	group string
	nth   int64
	log   *slog.Logger
}

// Consumer implements Broker.
func (d *dropBroker) Consumer(topic, group string) (Consumer, error) {
	c, err := d.Broker.Consumer(topic, group)
	if err != nil || group != d.group {
		return c, err
	}
	return &dropConsumer{Consumer: c, dropBroker: d}, nil
}

type dropConsumer struct {
	Consumer
	*dropBroker

	received atomic.Int64
}

// Close implements Consumer, which both embedded types do.
func (c *dropConsumer) Close(ctx context.Context) error { return c.Consumer.Close(ctx) }

// Receive implements Consumer. A message that could not be acknowledged is redelivered, and may be delivered then.
func (c *dropConsumer) Receive(ctx context.Context, max int, lease time.Duration) ([]Message, error) {
	messages, err := c.Consumer.Receive(ctx, max, lease)
	var kept []Message
	for _, m := range messages {
		if c.received.Add(1)%c.nth != 0 {
			kept = append(kept, m)
			continue
		}
		ackErr := c.Ack(ctx, m)
		c.log.WarnContext(ctx, "message dropped by --simulate-queue-drop", "group", c.group, "message_id", m.ID, "error", ackErr)
	}
	return kept, err
}
