package redisstream

import (
	"context"
	"strconv"
	"time"
)

const (
	// trimInterval is the minimum time between two trims of its stream by one consumer.
	trimInterval = time.Second
	// maxTrimNodes is the maximum number of nodes that one trim drops; a node holds about 100 small messages or one
	// large one.
	maxTrimNodes = 10_000
	// sweepInterval is the time between two sweeps for dead consumers, and sweepIdle the idle time after which one is
	// dead.
	sweepInterval = 10 * time.Minute
	sweepIdle     = time.Hour
)

// maintain trims the stream and deletes dead consumers of the group. It is best effort: after an error the next call,
// or another consumer, repeats it. It runs before a read and not after it, so that it never delays a received message.
func (c *consumer) maintain(ctx context.Context) {
	trim, sweep := c.maintenanceDue(time.Now())
	if !trim && !sweep {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if trim {
		args := append([]string{strconv.Itoa(maxTrimNodes)}, c.b.cfg.Topics[c.topic]...)
		if err := c.b.trim.Exec(ctx, c.b.client, []string{c.key}, args).Error(); err != nil {
			c.b.log.DebugContext(ctx, "failed to trim the stream", "topic", c.topic, "error", err)
			c.mu.Lock()
			c.acked = true
			c.mu.Unlock()
		}
	}
	if sweep {
		args := []string{c.group, strconv.FormatInt(sweepIdle.Milliseconds(), 10)}
		err := c.b.sweep.Exec(ctx, c.b.client, []string{c.key}, args).Error()
		if err != nil && !isNoGroup(err) {
			c.b.log.DebugContext(ctx, "failed to delete dead consumers", "topic", c.topic, "group", c.group, "error", err)
		}
	}
}

// maintenanceDue reports which tasks are due, and schedules the next ones.
func (c *consumer) maintenanceDue(now time.Time) (trim, sweep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.acked && !now.Before(c.trimAt) {
		trim, c.acked, c.trimAt = true, false, now.Add(trimInterval)
	}
	if !now.Before(c.sweepAt) {
		sweep, c.sweepAt = true, now.Add(sweepInterval)
	}
	return trim, sweep
}
