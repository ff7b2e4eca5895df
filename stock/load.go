package stock

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spillway/spillway/order"
)

// errNotYet means that counters cannot be loaded now; a retry may succeed.
var errNotYet = errors.New("the counters cannot be loaded yet")

// loadTimeout bounds the loading of one counter, which many callers may wait for: two reads of SQL and a script.
const loadTimeout = 5 * time.Second

// load makes the counters of the SKUs, each once for all concurrent callers: after an epoch has opened, each order of the hot product misses
// its counter. It returns order.ErrNotFound for a SKU that SQL does not have.
func (s *Stock) load(ctx context.Context, skus []order.SKU) error {
	for _, sku := range skus {
		done := s.loads.DoChan(string(sku), func() (any, error) {
			// The context of the first caller may end.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
			defer cancel()
			return nil, s.loadCounters(ctx, []order.SKU{sku})
		})
		select {
		case r := <-done:
			if r.Err != nil {
				return r.Err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// loadCounters makes the missing counters of the SKUs from SQL's stock at the flusher's offset and the journal beyond it.
func (s *Stock) loadCounters(ctx context.Context, skus []order.SKU) error {
	epoch, units, err := s.store.Snapshot(ctx, s.keys.Partition, skus)
	if err != nil {
		return fmt.Errorf("read the stock in SQL: %w", err)
	}
	args := []string{strconv.FormatInt(epoch.Number, 10), epoch.LastID, strconv.Itoa(maxLoadEntries)}
	for _, sku := range skus {
		n, ok := units[sku]
		if !ok {
			return order.ProductNotFound(sku)
		}
		args = append(args, string(sku), strconv.FormatInt(n, 10))
	}
	reply, err := s.exec(ctx, s.scripts.load, []string{
		s.keys.Epoch(), s.keys.Journal(epoch.Number), s.keys.Stock(epoch.Number), s.keys.Trimmed(epoch.Number),
	}, args)
	if err != nil {
		return err
	}
	switch reply[0] {
	case "OK":
		return nil
	case "FAR", "STALE":
		return errors.Join(errNotYet, pause(ctx, loadBackoff))
	}
	return s.refused(reply)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
