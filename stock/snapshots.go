package stock

import (
	"context"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// Snapshots reads the snapshots of hot orders for readers of the journal, also while no epoch is open: a snapshot never changes, so it needs
// no comparison with SQL. It is safe for concurrent use.
type Snapshots struct {
	keys    Keys
	conn    *redisconn.Conn
	breaker journal.Breaker
}

// NewSnapshots makes a reader for one partition.
func NewSnapshots(keys journal.Keys, conn *redisconn.Conn, b journal.Breaker) *Snapshots {
	return &Snapshots{keys: Keys{keys}, conn: conn, breaker: b}
}

// Snapshots reads the snapshots of the orders in one pipeline; orders that Redis does not hold are absent. The pipeline has a connection of its
// own, as reads of the journal have, because its replies may have some 10 MB.
func (s *Snapshots) Snapshots(ctx context.Context, ids []order.ID) (map[order.ID][]byte, error) {
	c := s.conn.Client()
	cmds := make(rueidis.Commands, len(ids))
	for i, id := range ids {
		cmds[i] = c.B().Arbitrary("HGET").Keys(s.keys.Order(id)).Args("snapshot").Blocking()
	}
	var replies []rueidis.RedisResult
	if err := breaker.Do(ctx, s.breaker, s.breaker.Timeout(), func(ctx context.Context) error {
		replies = c.DoMulti(ctx, cmds...)
		return redisconn.NonRedisError(replies)
	}); err != nil {
		return nil, redisconn.Unavailable(err)
	}
	out := make(map[order.ID][]byte, len(ids))
	for i, r := range replies {
		snapshot, err := r.AsBytes()
		switch {
		case rueidis.IsRedisNil(err):
		case err != nil:
			return nil, redisconn.Unavailable(err)
		default:
			out[ids[i]] = snapshot
		}
	}
	return out, nil
}
