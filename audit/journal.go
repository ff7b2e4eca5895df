package audit

import (
	"context"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// epochKey identifies an epoch of a partition.
type epochKey struct {
	partition uint8
	number    int64
}

// journalLog is the content of stock_dedup_log, as far back as it goes.
type journalLog struct {
	ranges int64
	orders map[order.ID]*orderEntries
	// reached is the last entry of each epoch; flaws are violations of the log itself; gaps are entries that were left
	// out.
	reached     map[epochKey]string
	flaws, gaps []store.Violation
}

func readLog(ctx context.Context, v *store.AuditView) (journalLog, error) {
	l := journalLog{orders: make(map[order.ID]*orderEntries), reached: make(map[epochKey]string)}
	return l, v.Applied(ctx, l.take)
}

// take reads one range, which must begin after the end of the range before it: otherwise an entry was applied twice.
func (l *journalLog) take(r store.AppliedRange) {
	l.ranges++
	key := epochKey{r.Partition, r.Epoch}
	l.follow(key, r)
	holds, err := store.ParseHolds(r.Orders)
	if err != nil {
		l.report("%s: the orders of the range %s to %s cannot be read: %v", key, r.FirstID, r.LastID, err)
	}
	for _, h := range holds {
		m := l.orders[h.OrderID]
		if m == nil {
			m = &orderEntries{}
			l.orders[h.OrderID] = m
		}
		m.add(h.Deltas, entryRange{key, r.FirstID, r.LastID})
		m.last = r.AppliedAt
	}
}

// follow compares a range with the one before it in the log. The start of the log is pruned.
func (l *journalLog) follow(key epochKey, r store.AppliedRange) {
	before, ok := l.reached[key]
	switch {
	case ok && !precedes(before, r.FirstID):
		l.report("%s: the range %s to %s was applied after %s had been", key, r.FirstID, r.LastID, before)
	case ok && r.PrevID != "" && r.PrevID != before:
		l.gaps = append(
			l.gaps,
			store.Violation{Detail: fmt.Sprintf("%s: the range %s to %s follows %s, but the range before it ends at %s: what lies between is not logged as applied",
				key, r.FirstID, r.LastID, r.PrevID, before)},
		)
	}
	l.reached[key] = r.LastID
}

// journalHasNoGaps checks that no entry is left out between two applied ranges of an epoch.
func journalHasNoGaps(_ context.Context, b *snapshot, report func(store.Violation)) (int64, error) {
	for _, f := range b.log.gaps {
		report(f)
	}
	return b.log.ranges, nil
}

// epochsAreDrained checks that no closed epoch is still to be drained. The Redis of such a one may hold acknowledged orders.
func epochsAreDrained(_ context.Context, b *snapshot, report func(store.Violation)) (int64, error) {
	for _, e := range b.epochs {
		if e.Undrained && e.Closed {
			report(store.Violation{Detail: fmt.Sprintf(
				"%s was closed while its Redis was unavailable: what its journal holds beyond %s is applied when that is back", epochKey{e.Partition, e.Number}, e.LastID,
			)})
		}
	}
	return int64(len(b.epochs)), nil
}

func (l *journalLog) report(format string, args ...any) {
	l.flaws = append(l.flaws, store.Violation{Detail: fmt.Sprintf(format, args...)})
}

// String formats the epoch for the details of violations.
func (k epochKey) String() string {
	return fmt.Sprintf("partition %d, epoch %d", k.partition, k.number)
}

// precedes compares two stream ids, "MILLISECONDS-SEQUENCE".
func precedes(a, b string) bool {
	ams, aseq := streamID(a)
	bms, bseq := streamID(b)
	return ams < bms || (ams == bms && aseq < bseq)
}

// streamID parses an id; malformed ids become 0-0.
func streamID(id string) (ms, seq uint64) {
	first, second, _ := strings.Cut(id, "-")
	ms, err := strconv.ParseUint(first, 10, 64)
	if err != nil {
		return math.MaxUint64, math.MaxUint64
	}
	if seq, err = strconv.ParseUint(second, 10, 64); err != nil {
		return math.MaxUint64, math.MaxUint64
	}
	return ms, seq
}

// journalAppliedOnce checks that the recorded offset, from which the flusher continues, is the end of the last applied
// range. If it were lower, entries would be applied again; if it were higher, some would be left out.
func journalAppliedOnce(_ context.Context, b *snapshot, report func(store.Violation)) (int64, error) {
	for _, f := range b.log.flaws {
		report(f)
	}
	violation := func(format string, args ...any) { report(store.Violation{Detail: fmt.Sprintf(format, args...)}) }
	open := make(map[uint8]int64)
	reached := maps.Clone(b.log.reached)
	for _, e := range b.epochs {
		key := epochKey{e.Partition, e.Number}
		last, logged := reached[key]
		delete(reached, key)
		switch {
		case logged && last != e.LastID:
			violation("%s: the offset is %s, but the last range that was applied ends at %s", key, e.LastID, last)
		case !logged && !e.Closed && e.LastID != "0-0":
			violation("%s: the offset is %s, but no range was applied", key, e.LastID)
		}
		if e.Closed {
			continue
		}
		if other, ok := open[e.Partition]; ok {
			violation("partition %d: the epochs %d and %d are open at once", e.Partition, other, e.Number)
		}
		open[e.Partition] = e.Number
	}
	for key := range reached {
		violation("%s: ranges of it were applied, but there is no such epoch", key)
	}
	return b.log.ranges + int64(len(b.epochs)), nil
}
