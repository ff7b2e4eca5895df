package journal

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// Change is a change of an order's state that SQL decided; those that Redis decides are in the journal. It is a hint for watchers to
// read the order again: nothing is derived from it.
type Change struct {
	OrderID order.ID
	// State is what the order became, At when.
	State order.State
	At    time.Time
}

const (
	// maxChanges is about how many changes the stream keeps, of about 100 bytes each. Tail reports to a reader that is further behind
	// that it missed some; at a thousand parcels a second that is 8 s. Beyond 10,000 entries the embedded Redis becomes slow.
	maxChanges = 8000
	// maxPublished bounds the changes of one pipeline, so that a large batch does not delay the requests on the connection.
	maxPublished = 500
)

// Changes is the stream of the changes that SQL decided. It is safe for concurrent use.
type Changes struct {
	keys    Keys
	conn    *redisconn.Conn
	breaker Breaker
}

// NewChanges makes the stream of one partition.
func NewChanges(keys Keys, conn *redisconn.Conn, b Breaker) *Changes {
	return &Changes{keys: keys, conn: conn, breaker: b}
}

// Publish appends the changes for watchers of the orders. Call it after the commit, or watchers read the previous state. It is best
// effort: after an error some or all of the changes are missing, and watchers find them a few seconds later.
func (c *Changes) Publish(ctx context.Context, changes []Change) error {
	for batch := range slices.Chunk(changes, maxPublished) {
		if err := c.publish(ctx, batch); err != nil {
			return redisconn.Unavailable(err)
		}
	}
	return nil
}

func (c *Changes) publish(ctx context.Context, batch []Change) error {
	client := c.conn.Client()
	cmds := make(rueidis.Commands, len(batch))
	for i, ch := range batch {
		cmds[i] = client.B().Xadd().Key(c.keys.Changes()).Maxlen().Almost().Threshold(strconv.Itoa(maxChanges)).Id("*").FieldValue().
			FieldValue("order", string(ch.OrderID)).FieldValue("state", strconv.Itoa(int(ch.State))).
			FieldValue("time", strconv.FormatInt(ch.At.UnixMilli(), 10)).Build()
	}
	var replies []rueidis.RedisResult
	if err := guarded(ctx, c.breaker, 0, func(ctx context.Context) error {
		replies = client.DoMulti(ctx, cmds...)
		return redisconn.NonRedisError(replies)
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
