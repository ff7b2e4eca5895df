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

// HotOrder is an order as Redis caches it until SQL has its state, and Limits.HotOrderTTL longer.
type HotOrder struct {
	State order.State
	// Snapshot is the marshalled order as it was reserved.
	Snapshot []byte
	// UpdatedAt is when the state was entered.
	UpdatedAt time.Time
	// Reason is why it was cancelled, as order.CancelReason.Encode made it; opaque here.
	Reason string
	// Trace is the W3C trace context of the request that reserved it, or empty; see package tracing.
	Trace string
	// Offset is that of the last journal entry of the order.
	Offset journal.Offset
}

// HotOrder reads a hot order; order.ErrNotFound when Redis does not hold it. A pending one of an earlier epoch is compared with SQL first,
// because Redis may have lost its later states.
func (s *Stock) HotOrder(ctx context.Context, id order.ID) (HotOrder, error) {
	if s.inSQL() {
		return HotOrder{}, s.sql.HotOrder(ctx, id)
	}
	hot, confirmed, err := s.hotOrder(ctx, id)
	if err != nil || hot.State != order.Pending {
		return hot, err
	}
	epoch, err := s.epochs.Current()
	if err != nil || hot.Offset.Epoch == epoch.Number || confirmed == epoch.Number {
		return hot, nil //nolint:nilerr // While no epoch is open there is nothing to compare with; settle and release compare it again.
	}
	if err := s.confirm(ctx, epoch.Number, id); err != nil {
		return HotOrder{}, err
	}
	hot, _, err = s.hotOrder(ctx, id)
	return hot, err
}

// hotOrder reads a hot order and the epoch in which it was compared with SQL, or 0.
func (s *Stock) hotOrder(ctx context.Context, id order.ID) (hot HotOrder, confirmed int64, err error) {
	c := s.conn.Client()
	reply, err := s.read(ctx, c.B().Hgetall().Key(s.keys.Order(id)).Build())
	if err != nil {
		return HotOrder{}, 0, err
	}
	fields, err := reply.AsStrMap()
	if err != nil {
		return HotOrder{}, 0, redisconn.Unavailable(err)
	}
	if len(fields) == 0 {
		return HotOrder{}, 0, order.ErrNotFound
	}
	state, err1 := strconv.ParseInt(fields["state"], 10, 8)
	ms, err2 := strconv.ParseInt(fields["time"], 10, 64)
	epoch, err3 := strconv.ParseInt(fields["epoch"], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return HotOrder{}, 0, fmt.Errorf("hot order %s: %w", id, err)
	}
	confirmed, _ = strconv.ParseInt(fields["confirmed"], 10, 64) // Absent is 0.
	return HotOrder{
		State: order.State(state), Snapshot: []byte(fields["snapshot"]), UpdatedAt: time.UnixMilli(ms).UTC(),
		Reason: journal.CleanText(fields["reason"]), Trace: journal.CleanText(fields["trace"]), Offset: journal.Offset{Epoch: epoch, ID: fields["entry"]},
	}, confirmed, nil
}

// States reads the states of many orders; those that Redis does not hold are absent.
func (s *Stock) States(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error) {
	if s.inSQL() {
		return nil, unavailable("redis is unavailable")
	}
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
	return parseStates(ids, replies)
}

// parseStates reads the states of the orders from the replies, which are in the order of the ids.
func parseStates(ids []order.ID, replies []rueidis.RedisResult) (map[order.ID]order.State, error) {
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

// Expire sets the TTL of the hot orders that SQL holds in the given states. It leaves out a hot order that is in another state by now.
func (s *Stock) Expire(ctx context.Context, states map[order.ID]order.State) error {
	if len(states) == 0 {
		return nil
	}
	keys, args := make([]string, 0, len(states)), []string{seconds(s.limits.HotOrderTTL)}
	for id, state := range states {
		keys = append(keys, s.keys.Order(id))
		args = append(args, strconv.Itoa(int(state)))
	}
	r, _, err := s.run(ctx, s.scripts.expire, keys, args)
	if err != nil {
		return err
	}
	return r.Error()
}

// LedgerIsTrusted reports whether the ledger alone shows that no card was charged for the order, without the provider. It does for an order that was placed
// without a card, while Redis has it as PENDING: there it has no TTL, so that SQL cannot have lost a payment of it.
func LedgerIsTrusted(ctx context.Context, hot interface {
	HotOrder(ctx context.Context, id order.ID) (HotOrder, error)
}, o order.Order,
) (bool, error) {
	if o.ExpiresAt.IsZero() {
		return false, nil
	}
	found, err := hot.HotOrder(ctx, o.ID)
	if errors.Is(err, order.ErrNotFound) {
		return false, nil
	}
	return err == nil && found.State == order.Pending, err
}
