package stock

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/pause"
)

const (
	// maxLoadEntries is how many journal entries one call of the load script reads: they block Redis for 2 to 3 ms.
	maxLoadEntries = 500
	// maxLoadCalls bounds the calls for one batch, at 500,000 entries: more than twice DefaultLimits' journal. Beyond it the load waits for
	// the flusher.
	maxLoadCalls = 1000
	// maxSnapshots is how often SQL is read for one batch: again when that is out of date before the counters are made.
	maxSnapshots = 3
)

// errNotYet means that counters cannot be loaded now; a retry may succeed.
var errNotYet = errors.New("the counters cannot be loaded yet")

// errStale means that the journal was trimmed beyond SQL's offset, or counters were dropped, since SQL was read.
var errStale = fmt.Errorf("the stock read in SQL is out of date: %w", errNotYet)

// load makes the counters of the SKUs. It returns order.ErrNotFound for a SKU that SQL does not have, and errNotYet, after loadBackoff, when
// the flusher is too far behind or what was read in SQL was out of date maxSnapshots times.
func (s *Stock) load(ctx context.Context, skus []order.SKU) error {
	err := s.loads.load(ctx, skus)
	if errors.Is(err, errNotYet) {
		return errors.Join(err, pause.For(ctx, loadBackoff))
	}
	return err
}

// loadCounters makes the missing counters of the SKUs. failed has an error for each SKU that SQL does not have; err is the error of the others.
func (s *Stock) loadCounters(ctx context.Context, skus []order.SKU) (failed map[order.SKU]error, err error) {
	for range maxSnapshots {
		if failed, err = s.loadSnapshot(ctx, skus); !errors.Is(err, errStale) {
			break
		}
	}
	return failed, err
}

// loadSnapshot makes the missing counters from SQL's stock at the flusher's offset and the journal beyond it.
func (s *Stock) loadSnapshot(ctx context.Context, skus []order.SKU) (failed map[order.SKU]error, err error) {
	drops, err := s.drops(ctx) // Before SQL: those that follow may have been for a change that SQL's stock does not include.
	if err != nil {
		return nil, err
	}
	epoch, units, err := s.store.Snapshot(ctx, s.keys.Partition, skus)
	if err != nil {
		return nil, fmt.Errorf("read the stock in SQL: %w", err)
	}
	failed = make(map[order.SKU]error)
	pairs := make([]string, 0, 2*len(units))
	for _, sku := range skus {
		if n, ok := units[sku]; ok {
			pairs = append(pairs, string(sku), strconv.FormatInt(n, 10))
		} else {
			failed[sku] = order.ProductNotFound(sku)
		}
	}
	if len(pairs) == 0 {
		return failed, nil
	}
	return failed, s.addJournal(ctx, epoch, drops, pairs)
}

// addJournal adds the journal's deltas beyond SQL's offset to the units in SQL (pairs of SKU and units), and makes the counters. It reads
// the journal in parts, each in a script of its own; only the last script, which reads to the end, writes.
func (s *Stock) addJournal(ctx context.Context, epoch journal.Epoch, drops string, pairs []string) error {
	number, offset := strconv.FormatInt(epoch.Number, 10), epoch.LastID
	keys := []string{s.keys.Epoch(), s.keys.Journal(epoch.Number), s.keys.Stock(epoch.Number), s.keys.Trimmed(epoch.Number), s.keys.Drops()}
	for range maxLoadCalls {
		reply, err := s.exec(ctx, s.scripts.load, keys, append([]string{number, offset, strconv.Itoa(s.loadEntries), drops}, pairs...))
		if err != nil {
			return err
		}
		switch reply[0] {
		case "OK":
			return nil
		case "MORE":
			offset, pairs = reply[1], reply[2:]
		case "STALE":
			return errStale
		default:
			return s.refused(reply)
		}
	}
	return errNotYet
}
