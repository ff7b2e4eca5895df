package stock

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillway/spillway/order"
)

const (
	// soldOutAge is how long a reply "sold out" of Redis is repeated without asking Redis again: the time after which units that came back in
	// another process can be ordered here. A second is short for a customer, and thousands of calls in a rush.
	soldOutAge = time.Second
	// maxSoldOut bounds the SKUs that are remembered, at about 100 bytes each. While it is full, more are not.
	maxSoldOut = 1024
)

// soldOutHints remember which SKUs Redis had no unit of a moment ago. No unit can have been sold since, so that they can be wrong in one
// way: a request is refused although units just came back. A SKU with fewer units than requested is not remembered, because the refusal has
// the number of units left. It is safe for concurrent use; its zero value is ready.
type soldOutHints struct {
	// size is len(hints), so that a shop that has everything takes no lock.
	size atomic.Int64
	mu   sync.RWMutex
	// changes counts the times that units came back through this process: a reply that was on its way meanwhile is not remembered.
	changes atomic.Int64
	hints   map[order.SKU]soldOutHint
}

// soldOutHint is how long a SKU is taken to be sold out, and in which epoch.
type soldOutHint struct {
	epoch int64
	until time.Time
}

// shortage returns the error of Redis' own refusal if each SKU of the demand was sold out a moment ago; otherwise nil. A request with
// other SKUs is for Redis to decide, which lists those that are short as well.
func (h *soldOutHints) shortage(epoch int64, demand []order.Demand, now time.Time) *order.SoldOutError {
	if h.size.Load() == 0 || len(demand) == 0 {
		return nil
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	for i, d := range demand {
		hint, ok := h.hints[d.SKU]
		valid := d.Quantity >= 1 && d.Quantity <= order.MaxQuantity && (i == 0 || demand[i-1].SKU < d.SKU)
		if !ok || !valid || hint.epoch != epoch || !now.Before(hint.until) {
			return nil
		}
	}
	refusal := &order.SoldOutError{Shortages: make([]order.Shortage, len(demand))}
	for i, d := range demand {
		refusal.Shortages[i] = order.Shortage{SKU: d.SKU, Requested: int64(d.Quantity)}
	}
	return refusal
}

// remember remembers which SKUs of a refusal were sold out. The call to Redis was begun at the given time, with the given number of changes.
func (h *soldOutHints) remember(epoch int64, short []order.Shortage, changes int64, began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if changes != h.changes.Load() {
		return
	}
	if h.hints == nil {
		h.hints = make(map[order.SKU]soldOutHint)
	}
	for _, s := range short {
		if s.Available > 0 {
			continue
		}
		if _, known := h.hints[s.SKU]; !known && len(h.hints) >= maxSoldOut && !h.expire(began) {
			break
		}
		h.hints[s.SKU] = soldOutHint{epoch: epoch, until: began.Add(soldOutAge)}
	}
	h.size.Store(int64(len(h.hints)))
}

// expire removes the hints that are too old, and reports whether there were any.
func (h *soldOutHints) expire(now time.Time) (removed bool) {
	for sku, hint := range h.hints {
		if !now.Before(hint.until) {
			delete(h.hints, sku)
			removed = true
		}
	}
	return removed
}

// forget removes all hints, after units of any SKU came back through this process.
func (h *soldOutHints) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes.Add(1)
	clear(h.hints)
	h.size.Store(0)
}

// refuseSoldOut decides a request for SKUs that were all sold out a moment ago; for other requests, decided is false. A key that made an order
// gets that order also then (I4): the retry of the last buyer is the most likely one. So the idempotency record is read first, which costs
// Redis a small part of the script.
func (s *Stock) refuseSoldOut(ctx context.Context, epoch int64, r Request) (res Reservation, decided bool, err error) {
	if r.Epoch != 0 { // It was sent before, with an unknown outcome.
		return Reservation{}, false, nil
	}
	refusal := s.soldOut.shortage(epoch, r.Demand, s.now())
	if refusal == nil {
		return Reservation{}, false, nil
	}
	id, open, err := s.replayIn(ctx, epoch, r.Customer, r.Key, r.Fingerprint)
	if err == nil && !open {
		return Reservation{}, false, nil // The script finds out what became of Redis.
	}
	if err == nil && id == "" {
		err = refusal
	}
	return Reservation{Replay: id}, true, err
}
