package simulated

import (
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
)

// FlapEvery makes the provider be up for the interval and down for the next, by the clock, so that all processes see it alike. While it
// is down it refuses charges, questions and refunds at once and does nothing. 0 is always up.
func (s *Provider) FlapEvery(interval time.Duration) { s.flap = interval }

// down is an error while a flapping provider is down.
func (s *Provider) down(id order.ID) error {
	if s.flap <= 0 || s.now().UnixNano()/int64(s.flap)%2 == 0 {
		return nil
	}
	return fmt.Errorf("order %s: the provider is down, as --simulate-provider-flap says: %w", id, order.ErrUnavailable)
}
