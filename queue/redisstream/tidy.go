package redisstream

import (
	"context"
	"strconv"
	"time"
)

const (
	// trimEvery is how often a consumer that acknowledged something trims its stream.
	trimEvery = time.Second
	// trimNodes bounds one trim; a node of a stream holds about 100 small messages or one large one.
	trimNodes = 10_000
	// sweepEvery is how often a consumer looks for others that are gone, and sweepIdle how long they must be silent.
	sweepEvery = 10 * time.Minute
	sweepIdle  = time.Hour
)

// tidy keeps the stream and its group small. It is best effort: what fails is done by the next call, or by another
// consumer. It runs before a read and not after, so that it never delays a message that was received.
func (c *consumer) tidy(ctx context.Context) {
	trim, sweep := c.tidyDue(time.Now())
	if !trim && !sweep {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if trim {
		args := append([]string{strconv.Itoa(trimNodes)}, c.b.cfg.Topics[c.topic]...)
		if err := c.b.trim.Exec(ctx, c.b.client, []string{c.key}, args).Error(); err != nil {
			c.b.log.DebugContext(ctx, "the stream was not trimmed", "topic", c.topic, "error", err)
			c.mu.Lock()
			c.acked = true
			c.mu.Unlock()
		}
	}
	if sweep {
		args := []string{c.group, strconv.FormatInt(sweepIdle.Milliseconds(), 10)}
		err := c.b.sweep.Exec(ctx, c.b.client, []string{c.key}, args).Error()
		if err != nil && !isNoGroup(err) {
			c.b.log.DebugContext(ctx, "consumers that are gone were not forgotten", "topic", c.topic, "group", c.group, "error", err)
		}
	}
}

// tidyDue says what is due now, and sets the times of the next turns.
func (c *consumer) tidyDue(now time.Time) (trim, sweep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.acked && !now.Before(c.trimAt) {
		trim, c.acked, c.trimAt = true, false, now.Add(trimEvery)
	}
	if !now.Before(c.sweepAt) {
		sweep, c.sweepAt = true, now.Add(sweepEvery)
	}
	return trim, sweep
}
