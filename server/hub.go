package server

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillway/spillway/order"
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
