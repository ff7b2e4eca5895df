package redisstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/internal/read"
)

// consumer is a queue.Consumer: one consumer of a Redis consumer group. The age of a lease is the idle time of a
// pending entry; the consumer that scans for expired leases compares it with the lease that it requests itself.
type consumer struct {
	b                *Broker
	key, group, name string
	topic            string
	calls            *read.Calls
	backoff          read.Backoff

	mu sync.Mutex
	// cursor is the position of the next scan for expired leases, and claimAt the time when it is due.
	cursor  string
	claimAt time.Time
	// acked is set when something was acknowledged since the last trim; trimAt is the time when the next trim is due.
	acked   bool
	trimAt  time.Time
	sweepAt time.Time
}

func newConsumer(b *Broker, topic, group, name string) *consumer {
	return &consumer{b: b, topic: topic, key: b.cfg.Key(topic), group: group, name: name, calls: read.NewCalls(), cursor: "0-0"}
}

// Receive implements queue.Consumer.
func (c *consumer) Receive(ctx context.Context, max int, lease time.Duration) ([]queue.Message, error) {
	if max < 1 || lease < minLease || lease > maxLease {
		return nil, fmt.Errorf("%w: receive %d messages for %v: request at least one, for %v to %v", queue.ErrInvalid, max, lease, minLease, maxLease)
	}
	if err := c.backoff.Wait(ctx); err != nil {
		return nil, err
	}
	messages, err := c.calls.Do(ctx, func(ctx context.Context) ([]queue.Message, error) {
		return c.read(ctx, min(max, maxReceive), lease)
	}, c.releaseLate)
	c.backoff.Record(ctx, err)
	return messages, translate(ctx, fmt.Sprintf("receive from %s for %s", c.topic, c.group), err)
}

// read claims expired leases if a scan is due, and otherwise waits for new messages. It creates the group if it does
// not exist, because it is new or Redis was wiped.
func (c *consumer) read(ctx context.Context, max int, lease time.Duration) ([]queue.Message, error) {
	c.maintain(ctx)
	messages, err := c.readOnce(ctx, max, lease)
	if !isNoGroup(err) {
		return messages, err
	}
	if err := c.createGroup(ctx); err != nil {
		return nil, err
	}
	return c.readOnce(ctx, max, lease)
}

func (c *consumer) readOnce(ctx context.Context, max int, lease time.Duration) ([]queue.Message, error) {
	if c.claimDue() {
		messages, err := c.claim(ctx, max, lease)
		if err != nil || len(messages) > 0 {
			return messages, err
		}
	}
	return c.readNew(ctx, max)
}

// createGroup creates the group at the start of the stream, so that it receives messages sent before its creation.
func (c *consumer) createGroup(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	err := c.b.client.Do(ctx, c.b.client.B().XgroupCreate().Key(c.key).Group(c.group).Id("0").Mkstream().Build()).Error()
	if isBusyGroup(err) {
		return nil
	}
	return err
}

// readNew waits for messages that were never delivered to the group. It blocks, on a connection of its own.
func (c *consumer) readNew(ctx context.Context, max int) ([]queue.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout+opTimeout)
	defer cancel()
	cmd := c.b.client.B().Xreadgroup().Group(c.group, c.name).Count(int64(max)).Block(pollTimeout.Milliseconds()).
		Streams().Key(c.key).Id(">").Build()
	streams, err := c.b.client.Do(ctx, cmd).AsXRead()
	if rueidis.IsRedisNil(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []queue.Message
	for _, e := range streams[c.key] {
		out = append(out, message(e, 1))
	}
	return out, nil
}

// Ack implements queue.Consumer.
func (c *consumer) Ack(ctx context.Context, messages ...queue.Message) error {
	acked := ids(messages)
	if len(acked) == 0 {
		return nil
	}
	call, leave, err := c.calls.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	op, cancel := context.WithTimeout(call, opTimeout)
	defer cancel()
	cmd := c.b.client.B().Xack().Key(c.key).Group(c.group).Id(acked...).Build()
	if err := c.b.client.Do(op, cmd).Error(); err != nil {
		return translate(ctx, fmt.Sprintf("acknowledge to %s for %s", c.topic, c.group), err)
	}
	c.mu.Lock()
	c.acked = true
	c.mu.Unlock()
	return nil
}

// Release implements queue.Consumer. It sets the idle time of the entries to the maximum lease.
func (c *consumer) Release(ctx context.Context, messages ...queue.Message) error {
	call, leave, err := c.calls.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return translate(ctx, fmt.Sprintf("release to %s for %s", c.topic, c.group), c.release(call, messages))
}

func (c *consumer) release(ctx context.Context, messages []queue.Message) error {
	if len(messages) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	cmds := make(rueidis.Commands, 0, len(messages))
	for _, m := range messages {
		for _, id := range ids([]queue.Message{m}) {
			cmds = append(cmds, c.b.client.B().Arbitrary("XCLAIM").Keys(c.key).
				Args(c.group, c.name, "0", id, "IDLE", strconv.FormatInt(maxLease.Milliseconds(), 10),
					"RETRYCOUNT", strconv.Itoa(m.Attempt), "JUSTID").Build())
		}
	}
	var errs []error
	for _, r := range c.b.client.DoMulti(ctx, cmds...) {
		errs = append(errs, r.Error())
	}
	c.mu.Lock()
	c.cursor, c.claimAt = "0-0", time.Time{} // This consumer may be the one that receives them.
	c.mu.Unlock()
	return errors.Join(errs...)
}

// releaseLate releases messages that arrived after their caller had given up.
func (c *consumer) releaseLate(ctx context.Context, messages []queue.Message) {
	if err := c.release(ctx, messages); err != nil {
		c.b.log.WarnContext(ctx, "failed to release late messages; they are redelivered when their lease expires",
			"topic", c.topic, "group", c.group, "messages", len(messages), "error", err)
	}
}

// Close implements queue.Consumer.
func (c *consumer) Close(ctx context.Context) error {
	c.b.forget(c)
	return c.calls.Close(ctx)
}
