package simulated

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/shipping"
)

// parcelsMax bounds what the simulated carrier remembers; then it forgets the oldest.
const parcelsMax = 200_000

// Mode is how the simulated carrier fares.
type Mode string

// The modes.
const (
	// OK takes each parcel after its latency.
	OK Mode = "ok"
	// Slow does so after slowLatency more.
	Slow Mode = "slow"
	// Down answers at once that it takes nothing.
	Down Mode = "down"
	// Late takes each parcel at once and answers lateLatency later, when nobody listens any more. Asked again, it answers
	// that it has it.
	Late Mode = "late"
)

const (
	// slowLatency is within the shipping policy's timeout, so that a slow carrier costs time and nothing else.
	slowLatency = 2 * time.Second
	// lateLatency is beyond that timeout, which is 5 s.
	lateLatency = 8 * time.Second
)

// Carrier takes each order's parcel once. Its exported fields are set before the first call.
type Carrier struct {
	// Latency is how long the carrier takes to answer.
	Latency time.Duration
	// Refuse says which parcels the carrier will never take, and why; nil takes all.
	Refuse func(p shipping.Parcel) error

	mu     sync.Mutex
	mode   Mode
	taken  map[order.ID]bool
	oldest []order.ID
}

// SetMode changes how the carrier fares, from the next call on.
func (c *Carrier) SetMode(m Mode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mode = m
}

// Ship takes the parcel. order.ErrRejected: it was not taken this time. order.ErrInvalid: it is not taken and never will be; one that
// was taken before is never answered so.
func (c *Carrier) Ship(ctx context.Context, p shipping.Parcel) error {
	c.mu.Lock()
	mode, has := c.mode, c.taken[p.OrderID]
	c.mu.Unlock()
	before, after := c.Latency, time.Duration(0)
	switch {
	case mode == Down:
		return fmt.Errorf("the carrier is down and did not take %s: %w", p.OrderID, order.ErrRejected)
	case mode == Slow:
		before += slowLatency
	case mode == Late && !has:
		after = lateLatency
	}
	if err := wait(ctx, before); err != nil {
		return fmt.Errorf("hand %s to the carrier: %w", p.OrderID, err)
	}
	if c.Refuse != nil && !has {
		if err := c.Refuse(p); err != nil {
			return fmt.Errorf("the carrier refuses %s: %w: %w", p.OrderID, order.ErrInvalid, err)
		}
	}
	c.take(p.OrderID)
	if err := wait(ctx, after); err != nil {
		return fmt.Errorf("wait for the carrier, which has %s: %w", p.OrderID, err)
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (c *Carrier) take(id order.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken[id] {
		return
	}
	if c.taken == nil {
		c.taken = make(map[order.ID]bool)
	}
	c.taken[id] = true
	if c.oldest = append(c.oldest, id); len(c.oldest) > parcelsMax {
		delete(c.taken, c.oldest[0])
		c.oldest = c.oldest[1:]
	}
}

// Parcels is how many parcels the carrier remembers to have taken.
func (c *Carrier) Parcels() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.taken)
}
