package stock

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
)

// Change says that SQL decided about an order. What Redis decides is in the journal. It is a hint to read the order anew, for those
// who watch it: nothing is ever derived from it.
type Change struct {
	OrderID order.ID
	// State is what the order became, At when.
	State order.State
	At    time.Time
}

const (
	// changesMax is about how many changes the stream keeps, of about 100 bytes each. A reader that is further behind is told that it
	// missed some; at a thousand parcels a second that is 8 s. Beyond 10,000 entries the embedded Redis becomes slow.
	changesMax = 8000
	// publishMax bounds the changes of one pipeline, so that a large batch does not hold up the requests on the connection.
	publishMax = 500
)

// Changes is the stream of what SQL decided.
type Changes struct {
	keys    Keys
	redis   *Redis
	breaker JournalBreaker
}

// NewChanges makes the stream of one partition.
func NewChanges(keys Keys, redis *Redis, b JournalBreaker) *Changes {
	return &Changes{keys: keys, redis: redis, breaker: b}
}

// Publish tells those who watch the orders. Call it after the commit, or they read what was before. It is best effort: after an error
// some or all of the changes were not told, and watchers find them a few seconds later.
func (c *Changes) Publish(ctx context.Context, changes []Change) error {
	for batch := range slices.Chunk(changes, publishMax) {
		if err := c.publish(ctx, batch); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

func (c *Changes) publish(ctx context.Context, batch []Change) error {
	client := c.redis.Client()
	cmds := make(rueidis.Commands, len(batch))
	for i, ch := range batch {
		cmds[i] = client.B().Xadd().Key(c.keys.Changes()).Maxlen().Almost().Threshold(strconv.Itoa(changesMax)).Id("*").FieldValue().
			FieldValue("order", string(ch.OrderID)).FieldValue("state", strconv.Itoa(int(ch.State))).
			FieldValue("time", strconv.FormatInt(ch.At.UnixMilli(), 10)).Build()
	}
	var replies []rueidis.RedisResult
	if err := guarded(ctx, c.breaker, 0, func(ctx context.Context) error {
		replies = client.DoMulti(ctx, cmds...)
		return nonRedisError(replies)
	}); err != nil {
		return err
	}
	for _, r := range replies {
		if err := r.Error(); err != nil {
			return err
		}
	}
	return nil
}
