package simulated

import (
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
)

// FlapEvery makes the provider alternately up and down for the interval, by the wall clock, so that all processes agree. While it is down,
// charges, queries and refunds return order.ErrUnavailable at once. 0 means always up. It must be called before the first charge.
func (s *Provider) FlapEvery(interval time.Duration) { s.flap = interval }

// down returns order.ErrUnavailable while a flapping provider is down.
func (s *Provider) down(id order.ID) error {
	if s.flap <= 0 || s.now().UnixNano()/int64(s.flap)%2 == 0 {
		return nil
	}
	return fmt.Errorf("order %s: provider down by --simulate-provider-flap: %w", id, order.ErrUnavailable)
}
