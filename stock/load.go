package stock

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// errNotYet means that counters could not be loaded this time, and that a moment later they may.
var errNotYet = errors.New("the counters cannot be loaded yet")

// loadTimeout bounds the loading of one counter, which many callers may wait for: two reads of SQL and a script.
const loadTimeout = 5 * time.Second

// load makes the counters of the SKUs, each once however many callers miss it at the same time: after an epoch has opened, that is
// everybody who wants the hot product. A SKU that SQL does not know is order.ErrNotFound.
func (s *Stock) load(ctx context.Context, skus []order.SKU) error {
	for _, sku := range skus {
		done := s.loads.DoChan(string(sku), func() (any, error) {
			// The caller that began it may leave.
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

// loadCounters makes the counters of the SKUs, where they are missing, from SQL's stock at the flusher's position and the
// journal beyond it.
func (s *Stock) loadCounters(ctx context.Context, skus []order.SKU) error {
	epoch, units, err := s.store.Snapshot(ctx, s.keys.Partition, skus)
	if err != nil {
		return fmt.Errorf("read the stock in SQL: %w", err)
	}
	args := []string{strconv.FormatInt(epoch.Number, 10), epoch.LastID, strconv.Itoa(loadEntriesMax)}
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
		return errors.Join(errNotYet, pause(ctx, loadWait))
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

// Available is how many units of each SKU can be bought now: Redis' counter, or SQL's stock where no counter is
// loaded. It decides nothing. SKUs that nobody knows are absent.
func (s *Stock) Available(ctx context.Context, skus []order.SKU) (map[order.SKU]int64, error) {
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

// counters fills out from Redis and returns the SKUs that it has no counter for, or all when it does not answer.
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

// Adjust changes the counter and journals the change; SQL follows at the returned position. Taking more than is left
// is a *order.SoldOutError, an id that was used for something else order.ErrAlreadyExists.
func (s *Stock) Adjust(ctx context.Context, a order.Adjustment) (journal.Offset, int64, error) {
	for range loadTries {
		epoch, err := s.epochs.Current()
		if err != nil {
			return journal.Offset{}, 0, err
		}
		reply, err := s.exec(ctx, s.scripts.adjust, []string{
			s.keys.Epoch(), s.keys.Journal(epoch.Number), s.keys.Stock(epoch.Number), s.keys.Adjusted(a.ID),
		}, []string{
			strconv.FormatInt(epoch.Number, 10), a.ID, string(a.SKU), strconv.FormatInt(a.Units, 10), a.Reason, a.Actor,
			s.nowMS(), seconds(s.limits.IdempotencyTTL), redisconn.ReplicationID(epoch.Instance),
		})
		if err != nil {
			return journal.Offset{}, 0, err
		}
		if reply[0] != "LOAD" {
			return s.adjusted(epoch, a, reply)
		}
		if err := s.load(ctx, skus(reply[1:])); err != nil && !errors.Is(err, errNotYet) {
			return journal.Offset{}, 0, err
		}
	}
	return journal.Offset{}, 0, &order.RetryError{After: redisconn.RetryAfter, Err: fmt.Errorf("the counter is still being loaded: %w", order.ErrUnavailable)}
}

func (s *Stock) adjusted(epoch journal.Epoch, a order.Adjustment, reply []string) (journal.Offset, int64, error) {
	switch reply[0] {
	case "OK":
		left, err := strconv.ParseInt(reply[2], 10, 64)
		return journal.Offset{Epoch: epoch.Number, ID: reply[1]}, left, err
	case "MISMATCH":
		return journal.Offset{}, 0, order.Refuse(order.ErrAlreadyExists, order.ReasonAdjustmentExists, "adjustment %s was made before with another SKU or delta", a.ID)
	case "SHORT":
		left, _ := strconv.ParseInt(reply[1], 10, 64)
		return journal.Offset{}, 0, &order.SoldOutError{Shortages: []order.Shortage{{SKU: a.SKU, Requested: -a.Units, Available: left}}}
	}
	return journal.Offset{}, 0, s.refused(reply)
}
