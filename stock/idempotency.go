package stock

import (
	"context"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// Replay reads the idempotency record of the customer's key, without reserving, and returns the order that was made with the key; empty
// when there is none. It returns order.ErrKeyReused when the key was used for another request.
func (s *Stock) Replay(ctx context.Context, customer order.CustomerID, key string, fingerprint []byte) (order.ID, error) {
	if s.inSQL() {
		return s.sql.Replay(ctx, customer, key, fingerprint)
	}
	c := s.conn.Client()
	reply, err := s.read(ctx, c.B().Get().Key(s.keys.Idempotency(customer, key)).Build())
	if err != nil {
		return "", err
	}
	record, err := reply.ToString()
	if err != nil && !rueidis.IsRedisNil(err) {
		return "", redisconn.Unavailable(err)
	}
	return replayed(record, fingerprint)
}

// replayIn is Replay, except that it also reports whether the epoch is the one that Redis holds: a Redis that was wiped or is older has lost
// the record, but not the order.
func (s *Stock) replayIn(ctx context.Context, epoch int64, customer order.CustomerID, key string, fingerprint []byte) (id order.ID, open bool, err error) {
	c := s.conn.Client()
	reply, err := s.read(ctx, c.B().Mget().Key(s.keys.Epoch(), s.keys.Idempotency(customer, key)).Build())
	if err != nil {
		return "", false, err
	}
	values, err := reply.AsStrSlice()
	if err != nil {
		return "", false, redisconn.Unavailable(err)
	}
	if len(values) != 2 || values[0] != strconv.FormatInt(epoch, 10) {
		return "", false, nil
	}
	id, err = replayed(values[1], fingerprint)
	return id, true, err
}

// replayed returns the order of an idempotency record; empty when there is none.
func replayed(record string, fingerprint []byte) (order.ID, error) {
	switch {
	case record == "":
		return "", nil
	case len(record) < order.IDLen:
		return "", order.ErrKeyReused
	}
	id := order.ID(record[:order.IDLen])
	if record[order.IDLen:] != string(fingerprint) {
		return "", order.KeyReused(id)
	}
	return id, nil
}

// IdempotencyRecordsMayBeLost reports whether idempotency records younger than their TTL may be missing in Redis, because it lost data
// less than that TTL ago. Then keys must be looked up in SQL too. A restart on a complete append-only file loses none.
func (s *Stock) IdempotencyRecordsMayBeLost() bool {
	epoch, err := s.epochs.Current()
	return err == nil && s.recordsMayBeLost(epoch)
}

func (s *Stock) recordsMayBeLost(epoch journal.Epoch) bool {
	return epoch.Mode != journal.ModeSQL && !epoch.RecordsLostAt.IsZero() && s.now().Sub(epoch.RecordsLostAt) < s.limits.IdempotencyTTL
}
