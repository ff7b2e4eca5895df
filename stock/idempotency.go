package stock

import (
	"context"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// Replay reads the idempotency record of the customer's key, without reserving, and returns the order that was made with the key; empty
// when there is none. It returns order.ErrKeyReused when the key was used for another request.
func (s *Stock) Replay(ctx context.Context, customer order.CustomerID, key string, fingerprint []byte) (order.ID, error) {
	c := s.conn.Client()
	reply, err := s.read(ctx, c.B().Get().Key(s.keys.Idempotency(customer, key)).Build())
	if err != nil {
		return "", err
	}
	record, err := reply.ToString()
	switch {
	case rueidis.IsRedisNil(err):
		return "", nil
	case err != nil:
		return "", redisconn.Unavailable(err)
	case len(record) < order.IDLen || record[order.IDLen:] != string(fingerprint):
		return "", order.ErrKeyReused
	}
	return order.ID(record[:order.IDLen]), nil
}

// IdempotencyRecordsMayBeLost reports whether idempotency records younger than their TTL may be missing in Redis, because it lost data
// less than that TTL ago. Then keys must be looked up in SQL too. A restart on a complete append-only file loses none.
func (s *Stock) IdempotencyRecordsMayBeLost() bool {
	epoch, err := s.epochs.Current()
	return err == nil && s.recordsMayBeLost(epoch)
}

func (s *Stock) recordsMayBeLost(epoch journal.Epoch) bool {
	return !epoch.RecordsLostAt.IsZero() && s.now().Sub(epoch.RecordsLostAt) < s.limits.IdempotencyTTL
}
