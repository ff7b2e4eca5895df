package redisstream

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/queue"
)

// claimDue reports whether the next scan for expired leases is due, and schedules the one after it.
func (c *consumer) claimDue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.claimAt) {
		return false
	}
	c.claimAt = now.Add(claimInterval)
	return true
}

// claim takes over messages with expired leases. One call scans a bounded part of the pending entries; the next call
// continues there, immediately if there are more.
func (c *consumer) claim(ctx context.Context, max int, lease time.Duration) ([]queue.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	c.mu.Lock()
	cursor := c.cursor
	c.mu.Unlock()
	cmd := c.b.client.B().Xautoclaim().Key(c.key).Group(c.group).Consumer(c.name).
		MinIdleTime(strconv.FormatInt(lease.Milliseconds(), 10)).Start(cursor).Count(int64(max)).Build()
	reply, err := c.b.client.Do(ctx, cmd).ToArray()
	if err != nil {
		return nil, err
	}
	entries, err := c.claimed(ctx, reply)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	return c.withAttempts(ctx, entries)
}

// claimed parses the reply of XAUTOCLAIM: the cursor, the entries, and the ids of deleted entries.
func (c *consumer) claimed(ctx context.Context, reply []rueidis.RedisMessage) ([]rueidis.XRangeEntry, error) {
	if len(reply) < 2 {
		return nil, fmt.Errorf("XAUTOCLAIM returned %d parts instead of 3", len(reply))
	}
	next, err := reply[0].ToString()
	if err != nil {
		return nil, fmt.Errorf("read the cursor of XAUTOCLAIM: %w", err)
	}
	entries, err := reply[1].AsXRange()
	if err != nil {
		return nil, fmt.Errorf("read the entries of XAUTOCLAIM: %w", err)
	}
	if len(reply) > 2 {
		if gone, err := reply[2].AsStrSlice(); err == nil && len(gone) > 0 {
			// Trimming keeps pending entries, so another client deleted them.
			c.b.log.ErrorContext(ctx, "messages were deleted before they were acknowledged", "topic", c.topic, "group", c.group, "ids", gone)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cursor = next
	if next != "0-0" {
		c.claimAt = time.Time{}
	}
	return entries, nil
}

// withAttempts adds the number of deliveries to each entry, because XAUTOCLAIM does not return it.
func (c *consumer) withAttempts(ctx context.Context, entries []rueidis.XRangeEntry) ([]queue.Message, error) {
	cmds := make(rueidis.Commands, len(entries))
	for i, e := range entries {
		cmds[i] = c.b.client.B().Xpending().Key(c.key).Group(c.group).Start(e.ID).End(e.ID).Count(1).Build()
	}
	out := make([]queue.Message, len(entries))
	for i, r := range c.b.client.DoMulti(ctx, cmds...) {
		attempt, err := attempts(r)
		if err != nil {
			return nil, err
		}
		out[i] = message(entries[i], attempt)
	}
	return out, nil
}

// attempts parses the reply of XPENDING: one row of id, consumer, idle time and deliveries, or none if the previous
// lease holder acknowledged the entry meanwhile. In that case this is at least the second delivery.
func attempts(r rueidis.RedisResult) (int, error) {
	rows, err := r.ToArray()
	if err != nil {
		return 0, err
	}
	if len(rows) == 0 {
		return 2, nil
	}
	row, err := rows[0].ToArray()
	if err != nil {
		return 0, fmt.Errorf("read the row of XPENDING: %w", err)
	}
	if len(row) < 4 {
		return 0, fmt.Errorf("XPENDING returned %d columns instead of 4", len(row))
	}
	n, err := row[3].AsInt64()
	return int(n), err
}
