package simulated

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/pause"
	"github.com/spillway/spillway/shipping"
)

// maxParcels bounds the number of parcels in memory. Beyond it the oldest is dropped.
const maxParcels = 200_000

// Mode is how the simulated carrier responds.
type Mode string

// Modes of the carrier.
const (
	// OK accepts each parcel after Carrier.Latency.
	OK Mode = "ok"
	// Slow accepts each parcel slowLatency later than OK.
	Slow Mode = "slow"
	// Down rejects each parcel at once.
	Down Mode = "down"
	// Silent accepts no parcel and does not respond.
	Silent Mode = "silent"
	// Late accepts each parcel at once and responds lateLatency later, after the caller's timeout. A retry succeeds without that delay.
	Late Mode = "late"
)

const (
	// slowLatency is less than the timeout of the handover policy, 5 s, so that a slow carrier costs time only.
	slowLatency = 2 * time.Second
	// lateLatency is more than that timeout.
	lateLatency = 8 * time.Second
)

// Modes are all modes.
var Modes = []Mode{OK, Slow, Down, Silent, Late}

// Carrier implements shipping.Carrier in memory, or in a file after Open. The zero value accepts all parcels at once. Its exported fields are set before the first
// call; after that it is safe for concurrent use.
type Carrier struct {
	// Latency is the time between a call and its response.
	Latency time.Duration
	// Refuse returns an error for a parcel that the carrier will never accept. If it is nil, the carrier accepts all parcels.
	Refuse func(p shipping.Parcel) error

	file *parcelFile // nil in memory

	mu       sync.Mutex
	mode     Mode
	accepted map[order.ID]bool
	oldest   []order.ID
}

// SetMode sets how the carrier responds, from the next call on.
func (c *Carrier) SetMode(m Mode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mode = m
}

// Ship accepts the parcel, once for each order id. It returns order.ErrRejected if the carrier is down, and order.ErrInvalid if Refuse
// returned an error, but never for a parcel that was accepted before. If ctx ends first, Ship returns its error; the parcel may then
// have been accepted.
func (c *Carrier) Ship(ctx context.Context, p shipping.Parcel) error {
	mode, accepted, err := c.look(ctx, p.OrderID)
	if err != nil {
		return err
	}
	before, after := c.Latency, time.Duration(0)
	switch {
	case mode == Down:
		return fmt.Errorf("the carrier is down and rejected %s: %w", p.OrderID, order.ErrRejected)
	case mode == Silent:
		<-ctx.Done()
		return fmt.Errorf("no response of the carrier, which did not accept %s: %w", p.OrderID, ctx.Err())
	case mode == Slow:
		before += slowLatency
	case mode == Late && !accepted:
		after = lateLatency
	}
	if err := wait(ctx, before); err != nil {
		return fmt.Errorf("hand over %s to the carrier: %w", p.OrderID, err)
	}
	if c.Refuse != nil && !accepted {
		if err := c.Refuse(p); err != nil {
			return fmt.Errorf("the carrier never accepts %s: %w: %w", p.OrderID, order.ErrInvalid, err)
		}
	}
	if err := c.accept(ctx, p); err != nil {
		return err
	}
	if err := wait(ctx, after); err != nil {
		return fmt.Errorf("wait for the response of the carrier, which accepted %s: %w", p.OrderID, err)
	}
	return nil
}

// wait blocks for d or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	return pause.For(ctx, d)
}

// look returns the mode, and whether the carrier has the parcel of an order.
func (c *Carrier) look(ctx context.Context, id order.ID) (m Mode, accepted bool, err error) {
	c.mu.Lock()
	m, accepted = c.mode, c.accepted[id]
	c.mu.Unlock()
	if c.file != nil {
		accepted, err = c.file.has(ctx, id)
	}
	return m, accepted, err
}

// accept records the parcel of an order.
func (c *Carrier) accept(ctx context.Context, p shipping.Parcel) error {
	if c.file != nil {
		return c.file.accept(ctx, p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	id := p.OrderID
	if c.accepted[id] {
		return nil
	}
	if c.accepted == nil {
		c.accepted = make(map[order.ID]bool)
	}
	c.accepted[id] = true
	if c.oldest = append(c.oldest, id); len(c.oldest) > maxParcels {
		delete(c.accepted, c.oldest[0])
		c.oldest = c.oldest[1:]
	}
	return nil
}

// Parcels returns the number of accepted parcels in memory.
func (c *Carrier) Parcels() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.accepted)
}
