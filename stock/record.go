package stock

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// Record is what Redis remembers of an order while it is hot.
type Record struct {
	State order.State
	// Snapshot is the marshalled order as it was reserved.
	Snapshot []byte
	// UpdatedAt is when the state was entered.
	UpdatedAt time.Time
	// Reason is why it was cancelled, as order.CancelReason.Encode made it; opaque here.
	Reason string
	// Offset is that of the last journal entry of the order.
	Offset journal.Offset
}

// Record reads an order's record; order.ErrNotFound when Redis does not know the order. A pending one of an earlier epoch is compared
// with SQL first, because Redis may have lost what followed.
func (s *Stock) Record(ctx context.Context, id order.ID) (Record, error) {
	rec, confirmed, err := s.record(ctx, id)
	if err != nil || rec.State != order.Pending {
		return rec, err
	}
	epoch, err := s.epochs.Current()
	if err != nil || rec.Offset.Epoch == epoch.Number || confirmed == epoch.Number {
		return rec, nil //nolint:nilerr // While no epoch is open the record is all there is; settle and release compare it again.
	}
	if err := s.confirm(ctx, epoch.Number, id); err != nil {
		return Record{}, err
	}
	rec, _, err = s.record(ctx, id)
	return rec, err
}

// record reads a record and the epoch in which it was compared with SQL, or 0.
func (s *Stock) record(ctx context.Context, id order.ID) (rec Record, confirmed int64, err error) {
	c := s.conn.Client()
	reply, err := s.read(ctx, c.B().Hgetall().Key(s.keys.Order(id)).Build())
	if err != nil {
		return Record{}, 0, err
	}
	fields, err := reply.AsStrMap()
	if err != nil {
		return Record{}, 0, redisconn.Unavailable(err)
	}
	if len(fields) == 0 {
		return Record{}, 0, order.ErrNotFound
	}
	state, err1 := strconv.ParseInt(fields["state"], 10, 8)
	ms, err2 := strconv.ParseInt(fields["time"], 10, 64)
	epoch, err3 := strconv.ParseInt(fields["epoch"], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Record{}, 0, fmt.Errorf("record of order %s: %w", id, err)
	}
	confirmed, _ = strconv.ParseInt(fields["confirmed"], 10, 64) // Absent is 0.
	return Record{
		State: order.State(state), Snapshot: []byte(fields["snapshot"]), UpdatedAt: time.UnixMilli(ms).UTC(),
		Reason: journal.CleanText(fields["reason"]), Offset: journal.Offset{Epoch: epoch, ID: fields["entry"]},
	}, confirmed, nil
}

// States reads the states of many orders; those that Redis does not know are absent.
func (s *Stock) States(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error) {
	c := s.conn.Client()
	cmds := make(rueidis.Commands, len(ids))
	for i, id := range ids {
		cmds[i] = c.B().Hget().Key(s.keys.Order(id)).Field("state").Build()
	}
	var replies []rueidis.RedisResult
	if err := s.guard(ctx, func(ctx context.Context) error {
		replies = c.DoMulti(ctx, cmds...)
		return redisconn.NonRedisError(replies)
	}); err != nil {
		return nil, redisconn.Unavailable(err)
	}
	return statesIn(ids, replies)
}

// statesIn reads the states of the orders from the replies, which are in the order of the ids.
func statesIn(ids []order.ID, replies []rueidis.RedisResult) (map[order.ID]order.State, error) {
	out := make(map[order.ID]order.State, len(ids))
	for i, r := range replies {
		text, err := r.ToString()
		if rueidis.IsRedisNil(err) {
			continue
		}
		if err != nil {
			return nil, redisconn.Unavailable(err)
		}
		n, err := strconv.ParseInt(text, 10, 8)
		if err != nil {
			return nil, fmt.Errorf("state of order %s: %w", ids[i], err)
		}
		out[ids[i]] = order.State(n)
	}
	return out, nil
}

// markerIDLen is the length of the order id at the head of an idempotency marker.
const markerIDLen = order.IDLen

// Replay looks up the order that the customer's key made before, without reserving. Empty means none;
// order.ErrKeyReused that the key stands for another request.
func (s *Stock) Replay(ctx context.Context, customer order.CustomerID, key string, fingerprint []byte) (order.ID, error) {
	c := s.conn.Client()
	reply, err := s.read(ctx, c.B().Get().Key(s.keys.Idempotency(customer, key)).Build())
	if err != nil {
		return "", err
	}
	seen, err := reply.ToString()
	switch {
	case rueidis.IsRedisNil(err):
		return "", nil
	case err != nil:
		return "", redisconn.Unavailable(err)
	case len(seen) < markerIDLen || seen[markerIDLen:] != string(fingerprint):
		return "", order.ErrKeyReused
	}
	return order.ID(seen[:markerIDLen]), nil
}

// Expire lets the records of orders go, a while from now, whose state SQL holds. A record that moved on stays.
func (s *Stock) Expire(ctx context.Context, states map[order.ID]order.State) error {
	if len(states) == 0 {
		return nil
	}
	keys, args := make([]string, 0, len(states)), []string{seconds(s.limits.RecordTTL)}
	for id, state := range states {
		keys = append(keys, s.keys.Order(id))
		args = append(args, strconv.Itoa(int(state)))
	}
	var r rueidis.RedisResult
	if err := s.guard(ctx, func(ctx context.Context) error {
		r = s.scripts.expire.Exec(ctx, s.conn.Client(), keys, args)
		return r.NonRedisError()
	}); err != nil {
		return err
	}
	return r.Error()
}

// read runs one reading command under the breaker.
func (s *Stock) read(ctx context.Context, cmd rueidis.Completed) (r rueidis.RedisResult, err error) {
	err = s.guard(ctx, func(ctx context.Context) error {
		r = s.conn.Client().Do(ctx, cmd)
		return r.NonRedisError()
	})
	if err != nil {
		err = redisconn.Unavailable(err)
	}
	return r, err
}
