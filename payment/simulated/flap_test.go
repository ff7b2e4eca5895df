package simulated

import (
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

func TestProvider_Flapping(t *testing.T) {
	s := New()
	s.FlapEvery(5 * time.Second)
	for second, down := range []bool{false, true, false, true} {
		s.now = func() time.Time { return time.Unix(int64(5*second), 1) }
		id := newID()
		_, charge := s.Charge(t.Context(), id, twelve, goodCard("4242424242424242"))
		_, _, find := s.Find(t.Context(), id)
		refund := s.Refund(t.Context(), id, "r", twelve)
		for call, err := range map[string]error{"Charge": charge, "Find": find, "Refund": refund} {
			if errors.Is(err, order.ErrUnavailable) != down || (err != nil) != down {
				t.Errorf("%s at %d s: %v; want down: %v", call, 5*second, err, down)
			}
		}
	}
}
