package stock

import (
	"context"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// Forget lets the counters of the SKUs go after SQL's stock was changed beside the journal: who asks for them next loads them from
// SQL and the journal. A counter is never raised by that above what SQL and the journal say (I2).
func (s *Stock) Forget(ctx context.Context, skus []order.SKU) error {
	if len(skus) == 0 {
		return nil
	}
	epoch, err := s.epochs.Current()
	if err != nil {
		return err
	}
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
