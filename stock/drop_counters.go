package stock

import (
	"context"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// DropCounters deletes the counters of the SKUs after SQL's stock was changed beside the journal: the next reservation loads them from
// SQL and the journal. A counter never exceeds SQL's stock and the journal by that (I2).
func (s *Stock) DropCounters(ctx context.Context, skus []order.SKU) error {
	if len(skus) == 0 {
		return nil
	}
	epoch, err := s.epochs.Current()
	if err != nil {
		return err
	}
	defer s.soldOut.forget()
	fields := make([]string, len(skus))
	for i, sku := range skus {
		fields[i] = string(sku)
	}
	c := s.conn.Client()
	r, err := s.read(ctx, c.B().Hdel().Key(s.keys.Stock(epoch.Number)).Field(fields...).Build())
	if err == nil && r.Error() != nil {
		err = redisconn.Unavailable(r.Error())
	}
	return err
}
