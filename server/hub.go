package server

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/pause"
)

// HubConfig bounds the watching of one process.
type HubConfig struct {
	// Watchers are how many streams there are at once: each costs two goroutines and about 40 kB.
	Watchers int
	// PerCustomer is how many of them one customer may have: a few pages, each with a few orders.
	PerCustomer int
	// PerAddress is how many of them one client address may have.
	PerAddress int
	// Reads bounds the orders that are read for watchers at once, so that a restart, after which all of them come back in one second,
	// leaves room for checkouts.
	Reads int
	// ResyncInterval is after how long all watched orders are compared with what their watchers saw.
	ResyncInterval time.Duration
	// SlowSend bounds the time to send a message; a slower stream ends with `aborted`. MaxSend bounds the time in which a client reads
	// nothing at all; then its connection is cut off, because no code can reach it.
	SlowSend, MaxSend time.Duration
	// Lifetime ends a stream, so that a token that expired does not watch for ever, and watchers spread over new processes.
	Lifetime time.Duration
}

const (
	// maxWatchers is how many streams fit into a process with 1 GiB.
	maxWatchers = 10_000
	// addressShare is the part of all streams that one client address may have: an office behind one address watches a few hundred orders.
	addressShare = 10
)

// DefaultHubConfig fits a process with 1 GiB.
func DefaultHubConfig() HubConfig {
	return HubConfig{
		Watchers: maxWatchers, PerCustomer: 20, PerAddress: maxWatchers / addressShare, Reads: 32, ResyncInterval: 15 * time.Second,
		SlowSend: 5 * time.Second, MaxSend: 15 * time.Second, Lifetime: 30 * time.Minute,
	}
}

const (
	// healBatch is how many orders one statement compares.
	healBatch = 500
	// healPause is at least between two comparisons, so that a feed that misses something again and again does not read SQL in a loop.
	healPause = time.Second
	// minFeedBackoff and maxFeedBackoff bound the pause after the feed failed.
	minFeedBackoff = 50 * time.Millisecond
	maxFeedBackoff = 2 * time.Second
)

// Feed reads which orders changed.
type Feed interface {
	// Next waits a moment for changes. With missed there may have been others.
	Next(ctx context.Context) (changed []order.ID, missed bool, err error)
	// Reset forgets the offset: the next call of Next begins at the end of the feed and returns missed.
	Reset()
}

// StateReader reads the states of many orders; those that do not exist are absent.
type StateReader interface {
	States(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error)
}

// Hub wakes the watchers of an order when it changes. One feed serves all of them. A watcher is only woken and reads the order by
// itself, so there is nothing to queue for a slow one: it sees the newest state when it comes back.
type Hub struct {
	cfg       HubConfig
	feed      Feed
	hot, rows StateReader
	log       *slog.Logger

	reads   chan struct{}
	first   chan struct{} // the first watcher is there
	missed  chan struct{} // compare soon
	stopped chan struct{}

	mu       sync.Mutex
	watchers map[order.ID]map[*Watcher]struct{}
	of       map[order.CustomerID]int
	from     map[netip.Addr]int
	count    int
	ended    bool
}

// NewHub makes a hub without watchers. It needs Run.
func NewHub(cfg HubConfig, feed Feed, hot, rows StateReader, log *slog.Logger) *Hub {
	return &Hub{
		cfg: cfg, feed: feed, hot: hot, rows: rows, log: log, reads: make(chan struct{}, cfg.Reads),
		first: make(chan struct{}, 1), missed: make(chan struct{}, 1), stopped: make(chan struct{}),
		watchers: make(map[order.ID]map[*Watcher]struct{}), of: make(map[order.CustomerID]int), from: make(map[netip.Addr]int),
	}
}

// unseen stands for the state of a watcher that saw none.
const unseen order.State = -1

// Watcher is a stream that watches one order.
type Watcher struct {
	hub      *Hub
	id       order.ID
	customer order.CustomerID
	addr     netip.Addr
	wake     chan struct{} // holds one: to be woken twice is to be woken
	seen     atomic.Int32  // the order.State that was sent last
}

// Watch adds a watcher that has seen the order in the state. An address that is not valid has no bound. Beyond the bounds it returns
// order.ErrOverloaded, and after Run ended order.ErrUnavailable, both with a retry delay. The watcher must be closed.
func (h *Hub) Watch(customer order.CustomerID, addr netip.Addr, id order.ID, seen order.State) (*Watcher, error) {
	w := &Watcher{hub: h, id: id, customer: customer, addr: addr, wake: make(chan struct{}, 1)}
	w.seen.Store(int32(seen))
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.ended:
		return nil, errStopping()
	case h.count >= h.cfg.Watchers:
		return nil, &order.RetryError{
			After: h.cfg.ResyncInterval,
			Err:   order.Refuse(order.ErrOverloaded, order.ReasonTooManyWatchers, "%d orders are being watched", h.cfg.Watchers),
		}
	case h.of[customer] >= h.cfg.PerCustomer:
		return nil, &order.RetryError{
			After: h.cfg.ResyncInterval,
			Err:   order.Refuse(order.ErrOverloaded, order.ReasonTooManyWatchers, "one customer watches at most %d orders at once", h.cfg.PerCustomer),
		}
	}
	if h.from[addr] >= h.cfg.PerAddress && addr.IsValid() {
		return nil, &order.LimitError{Limit: order.LimitWatchers, Maximum: int64(h.cfg.PerAddress), After: h.cfg.ResyncInterval}
	}
	if h.watchers[id] == nil {
		h.watchers[id] = make(map[*Watcher]struct{}, 1)
	}
	h.watchers[id][w] = struct{}{}
	h.of[customer]++
	h.from[addr]++
	h.count++
	signal(h.first)
	return w, nil
}

// Close takes the watcher out. Once.
func (w *Watcher) Close() {
	h := w.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if delete(h.watchers[w.id], w); len(h.watchers[w.id]) == 0 {
		delete(h.watchers, w.id)
	}
	decrement(h.of, w.customer)
	decrement(h.from, w.addr)
	h.count--
}

// errStopping is the error of streams when the process ends.
func errStopping() error {
	return &order.RetryError{After: defaultRetryDelay, Err: order.Refuse(order.ErrUnavailable, order.ReasonServerStopping, "the server is stopping")}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // A signal is waiting already.
	}
}

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
