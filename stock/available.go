package stock

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spillway/spillway/order"
)

// Available returns how many units of each SKU can be bought now: Redis' counter, or SQL's stock where no counter is loaded, or what is sold in SQL
// while Redis is unavailable. It is for
// display: Reserve decides. Unknown SKUs are absent.
func (s *Stock) Available(ctx context.Context, skus []order.SKU) (map[order.SKU]int64, error) {
	if s.inSQL() {
		return s.sql.Available(ctx, skus)
	}
	out := make(map[order.SKU]int64, len(skus))
	missing := skus
	if epoch, err := s.epochs.Current(); err == nil && len(skus) > 0 {
		missing = s.counters(ctx, epoch.Number, skus, out)
	}
	if len(missing) == 0 {
		return out, nil
	}
	_, units, err := s.store.Snapshot(ctx, s.keys.Partition, missing)
	if err != nil {
		return nil, fmt.Errorf("read the stock in SQL: %w", err)
	}
	for sku, n := range units {
		out[sku] = n
	}
	return out, nil
}

// counters fills out from Redis and returns the SKUs that it has no counter for, or all SKUs when Redis is unavailable.
func (s *Stock) counters(ctx context.Context, epoch int64, skus []order.SKU, out map[order.SKU]int64) []order.SKU {
	fields := make([]string, len(skus))
	for i, sku := range skus {
		fields[i] = string(sku)
	}
	r, err := s.read(ctx, s.conn.Client().B().Hmget().Key(s.keys.Stock(epoch)).Field(fields...).Build())
	if err != nil {
		return skus
	}
	values, err := r.ToArray()
	if err != nil {
		return skus
	}
	var missing []order.SKU
	for i, v := range values {
		text, err := v.ToString()
		n, perr := strconv.ParseInt(text, 10, 64)
		if err != nil || perr != nil {
			missing = append(missing, skus[i])
			continue
		}
		out[skus[i]] = n
	}
	return missing
}
