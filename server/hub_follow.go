package server

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/pause"
)

// Run wakes watchers until ctx ends. Then all of them are ended, so that a shutdown does not wait for them.
func (h *Hub) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { h.follow(ctx) })
	wg.Go(func() { h.resync(ctx) })
	<-ctx.Done()
	h.mu.Lock()
	if !h.ended {
		h.ended = true
		close(h.stopped)
	}
	h.mu.Unlock()
	wg.Wait()
}

// follow reads the feed while there are watchers. Without them it would copy every order from Redis for nothing.
func (h *Hub) follow(ctx context.Context) {
	backoff := minFeedBackoff
	for ctx.Err() == nil {
		if h.idle() {
			h.feed.Reset()
			select {
			case <-ctx.Done():
			case <-h.first:
			}
			continue
		}
		changed, missed, err := h.feed.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			// The epoch keeper logs what is wrong with Redis, once; meanwhile resyncs wake the watchers.
			h.log.DebugContext(ctx, "failed to read the feed of watchers, retrying", "error", err)
			_ = pause.For(ctx, backoff) // The loop sees the end of ctx.
			backoff = min(2*backoff, maxFeedBackoff)
			continue
		case missed:
			signal(h.missed)
		}
		backoff = minFeedBackoff
		h.changed(changed)
	}
}

func (h *Hub) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count == 0
}

// changed wakes the watchers of the orders.
func (h *Hub) changed(ids []order.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		for w := range h.watchers[id] {
			signal(w.wake)
		}
	}
}

// resync compares all watched orders with what their watchers saw, every now and then and when the feed missed something. It is the
// safety net: what was published is lost when a worker dies between its commit and the publishing, or Redis is away just then.
func (h *Hub) resync(ctx context.Context) {
	tick := time.NewTicker(h.cfg.ResyncInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-h.missed:
		}
		for ids := range slices.Chunk(h.watched(), healBatch) {
			h.compare(ctx, ids)
		}
		_ = pause.For(ctx, min(healPause, h.cfg.ResyncInterval)) // The same.
	}
}

func (h *Hub) watched() []order.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]order.ID, 0, len(h.watchers))
	for id := range h.watchers {
		out = append(out, id)
	}
	return out
}

// compare wakes the watchers that have not seen the newest state of their order. If Redis or SQL is unavailable, the states of the other count.
func (h *Hub) compare(ctx context.Context, ids []order.ID) {
	rows, rowsErr := h.rows.States(ctx, ids)
	hot, hotErr := h.hot.States(ctx, ids)
	if rowsErr != nil || hotErr != nil {
		h.log.DebugContext(ctx, "failed to compare watched orders with redis or sql", "sql", rowsErr, "redis", hotErr)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		row, inSQL := rows[id]
		record, inRedis := hot[id]
		lost := !inSQL && !inRedis && rowsErr == nil && hotErr == nil
		for w := range h.watchers[id] {
			seen := order.State(w.seen.Load()) //nolint:gosec // It was stored from one.
			if lost || (inSQL && isNewer(seen, row)) || (inRedis && isNewer(seen, record)) {
				signal(w.wake)
			}
		}
	}
}

// isNewer reports whether a watcher that saw the one state has to get the other. An earlier state is not newer: it is from a dependency that
// lags behind, or lost data.
func isNewer(seen, now order.State) bool { return seen == unseen || (now != seen && now.Follows(seen)) }
