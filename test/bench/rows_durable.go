package main

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/order"
)

const (
	// halfLoad is the load of the row, in percent of what the build accepts while it drains.
	halfLoad = 50
	// offsetPoll is the time between two readings of the flusher's offset, which is one row: the resolution of the time to durable.
	offsetPoll = 10 * time.Millisecond
)

// runDurable measures, at half load, how long after its call an order is flushed to SQL, and SHIPPED.
func runDurable(ctx context.Context, r *run, b *build) (_ []row, err error) {
	s, err := r.openShop(ctx, b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	watch := s.watchOffsets(ctx)
	line, spans, err := s.open(ctx, rowDurable, r.openLoad(b, halfLoad))
	offsets, werr := watch()
	if err := errors.Join(err, werr); err != nil {
		return nil, err
	}
	line.ResponseP50, line.ResponseP99 = line.P50, line.P99
	line.P50, line.P99 = percentiles(offsets.durableAfter(spans))
	if err := s.awaitShipped(ctx); err != nil {
		return nil, err
	}
	if line.ShippedP50, line.ShippedP99, err = s.shippedAfter(ctx, spans); err != nil {
		return nil, err
	}
	return []row{line}, s.settle(ctx)
}

// offset is the time of Redis in the id of the last flushed entry of the journal, and when it was read.
type offset struct {
	read    time.Time
	flushed int64 // in milliseconds since 1970
}

// offsets are in the order of both.
type offsets []offset

// watchOffsets reads the flusher's offset until the returned function is called.
func (s *shop) watchOffsets(ctx context.Context) func() (offsets, error) {
	ctx, cancel := context.WithCancel(ctx)
	var out offsets
	done := make(chan error, 1)
	go func() {
		for sleepUntil(ctx, time.Now().Add(offsetPoll)) {
			var id string
			if err := s.db.scan(ctx, []any{&id}, "SELECT last_id FROM stock_epochs WHERE closed_at IS NULL"); err != nil {
				if ctx.Err() != nil {
					err = nil
				}
				done <- err
				return
			}
			if o := (offset{time.Now(), entryTime(id)}); len(out) == 0 || o.flushed > out[len(out)-1].flushed {
				out = append(out, o)
			}
		}
		done <- nil
	}()
	return func() (offsets, error) {
		cancel()
		err := <-done
		return out, err
	}
}

// entryTime returns the time in an id of a journal entry, which is MILLISECONDS-SEQUENCE.
func entryTime(id string) int64 {
	text, _, _ := strings.Cut(id, "-")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// durableAfter returns how long after each call was due its order was flushed, sorted. An order's entries are older than its response, so it
// is flushed when an entry from after the response is. Redis must have the clock of this machine.
func (o offsets) durableAfter(spans []span) []time.Duration {
	var out []time.Duration
	for _, s := range spans {
		responded := s.end.UnixMilli()
		i := sort.Search(len(o), func(i int) bool { return o[i].flushed >= responded })
		if i < len(o) {
			out = append(out, max(o[i].read.Sub(s.due), s.end.Sub(s.due)))
		}
	}
	slices.Sort(out)
	return out
}

// shippedAfter returns the percentiles of the time from placing to SHIPPED, of the orders that were placed within the calls.
func (s *shop) shippedAfter(ctx context.Context, spans []span) (p50, p99 *float64, err error) {
	if len(spans) == 0 {
		return nil, nil, errNothing
	}
	byEnd := func(a, b span) int { return a.end.Compare(b.end) }
	from, to := slices.MinFunc(spans, byEnd).end, slices.MaxFunc(spans, byEnd).end
	s.db.statements.Add(1)
	rows, err := s.db.db.QueryContext(ctx, "SELECT created_at, updated_at FROM orders WHERE state = ? AND created_at BETWEEN ? AND ?",
		order.Shipped, from.UTC(), to.UTC())
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	var all []time.Duration
	for rows.Next() {
		var placed, shipped time.Time
		if err := rows.Scan(&placed, &shipped); err != nil {
			return nil, nil, err
		}
		all = append(all, shipped.Sub(placed))
	}
	slices.Sort(all)
	p50, p99 = percentiles(all)
	return p50, p99, rows.Err()
}
