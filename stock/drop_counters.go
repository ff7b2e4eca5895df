package stock

import (
	"context"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// DropCounters deletes the counters of the SKUs after SQL's stock was changed beside the journal: the next reservation loads them from
// SQL and the journal. A counter never exceeds SQL's stock and the journal by that (I2). Loads in any process that read SQL before the change
// begin again: those that set a counter before the drop is counted have it deleted after that.
func (s *Stock) DropCounters(ctx context.Context, skus []order.SKU) error {
	if len(skus) == 0 {
		return nil
	}
	epoch, err := s.epochs.Current()
	if err != nil {
		return err
	}
	if epoch.Mode == journal.ModeSQL {
		return unavailable("redis is unavailable: its counters are dropped when it is back")
	}
	defer s.soldOut.forget()
	fields := make([]string, len(skus))
	for i, sku := range skus {
		fields[i] = string(sku)
	}
	c := s.conn.Client()
	if _, err := s.do(ctx, c.B().Incr().Key(s.keys.Drops()).Build()); err != nil {
		return err
	}
	_, err = s.do(ctx, c.B().Hdel().Key(s.keys.Stock(epoch.Number)).Field(fields...).Build())
	return err
}

// drops reads how often counters were dropped.
func (s *Stock) drops(ctx context.Context) (string, error) {
	r, err := s.do(ctx, s.conn.Client().B().Get().Key(s.keys.Drops()).Build())
	if err != nil || r.Error() != nil {
		return "0", err
	}
	return r.ToString()
}

// do runs one command under the breaker. The error includes an error reply; a missing key is none.
func (s *Stock) do(ctx context.Context, cmd rueidis.Completed) (rueidis.RedisResult, error) {
	r, err := s.read(ctx, cmd)
	if err == nil && r.Error() != nil && !rueidis.IsRedisNil(r.Error()) {
		err = redisconn.Unavailable(r.Error())
	}
	return r, err
}
