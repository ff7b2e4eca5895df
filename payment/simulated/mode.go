package simulated

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
)

// Mode is how the simulated provider responds.
type Mode string

// Modes of the provider.
const (
	// OK responds to every call at once.
	OK Mode = "ok"
	// Slow responds to every call slowLatency later than OK.
	Slow Mode = "slow"
	// Down fails every call at once, and charges and refunds nothing.
	Down Mode = "down"
	// Silent responds to no call, and charges and refunds nothing.
	Silent Mode = "silent"
	// Unanswered charges cards and does not respond; it responds to queries and refunds.
	Unanswered Mode = "unanswered"
	// Late responds to no charge, and charges the card much later. It responds to queries, which find such a charge only then, and to refunds.
	Late Mode = "late"
)

// Modes are all modes.
var Modes = []Mode{OK, Slow, Down, Silent, Unanswered, Late}

const (
	// slowLatency is less than the 2.5 s for which the payment service waits, so that a slow provider costs time only.
	slowLatency = 2 * time.Second
	// lateBy is how much later Late charges a card, unless SetLate was called: after the order has expired.
	lateBy = 10 * time.Minute
	// lateTimeout bounds the storing of a late charge in the file.
	lateTimeout = 5 * time.Second
)

// SetMode sets how the provider responds, from the next call on.
func (s *Provider) SetMode(m Mode) { s.mode.Store(&m) }

// SetLate sets how much later Late charges a card, from the next charge on.
func (s *Provider) SetLate(d time.Duration) { s.late.Store(int64(d)) }

// current returns the mode.
func (s *Provider) current() Mode {
	if m := s.mode.Load(); m != nil {
		return *m
	}
	return OK
}

// respond returns when the provider begins to work on a call about an order. It returns order.ErrUnavailable if the provider is down, and the
// error of ctx if that ends first.
func (s *Provider) respond(ctx context.Context, id order.ID) error {
	if err := s.down(id); err != nil {
		return err
	}
	switch s.current() {
	case Down:
		return fmt.Errorf("order %s: the simulated provider is down: %w", id, order.ErrUnavailable)
	case Silent:
		return silence(ctx, id)
	case Slow:
		if err := s.sleep(ctx, slowLatency); err != nil {
			return fmt.Errorf("order %s: %w", id, err)
		}
	case OK, Unanswered, Late:
	}
	return nil
}

// silence blocks until ctx ends, and returns its error.
func silence(ctx context.Context, id order.ID) error {
	<-ctx.Done()
	return fmt.Errorf("order %s: no response of the simulated provider: %w", id, ctx.Err())
}

// record stores the outcome of an attempt and returns the one that is stored then, unless the mode withholds the response.
func (s *Provider) record(ctx context.Context, id order.ID, o payment.Outcome) (payment.Outcome, error) {
	switch s.current() {
	case Late:
		s.recordLate(id, o)
		return payment.Outcome{}, silence(ctx, id)
	case Unanswered:
		if _, err := s.outcomes.keep(ctx, id, o); err != nil {
			return payment.Outcome{}, err
		}
		return payment.Outcome{}, silence(ctx, id)
	case OK, Slow, Down, Silent:
	}
	return s.outcomes.keep(ctx, id, o)
}

// recordLate stores the outcome later. The provider loses it if its process ends before.
func (s *Provider) recordLate(id order.ID, o payment.Outcome) {
	after := time.Duration(s.late.Load())
	if after <= 0 {
		after = lateBy
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.running.Add(1)
	var timer *time.Timer
	timer = time.AfterFunc(after, func() {
		defer s.running.Done()
		ctx, cancel := context.WithTimeout(context.Background(), lateTimeout)
		defer cancel()
		_, _ = s.outcomes.keep(ctx, id, o) // A lost charge was never made.
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.lateCharges, timer)
	})
	if s.lateCharges == nil {
		s.lateCharges = make(map[*time.Timer]bool)
	}
	s.lateCharges[timer] = true
}

// stopLate drops the late charges that were not made yet, and waits for those under way.
func (s *Provider) stopLate() {
	s.mu.Lock()
	s.closed = true
	for timer := range s.lateCharges {
		if timer.Stop() {
			s.running.Done()
		}
	}
	s.mu.Unlock()
	s.running.Wait()
}
