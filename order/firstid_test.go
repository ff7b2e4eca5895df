package order_test

import (
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

// TestFirstIDBoundsItsMillisecond, whatever the time.
func TestFirstIDBoundsItsMillisecond(t *testing.T) {
	for _, at := range []time.Time{
		time.UnixMilli(0), time.UnixMilli(1), time.Date(2026, 11, 24, 12, 0, 0, 999_999_999, time.UTC), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	} {
		id := order.NewID(255, at)
		if first, next := order.FirstID(at), order.FirstID(at.Add(time.Millisecond)); id < first || id >= next {
			t.Errorf("at %s: %s is not in %s to %s", at, id, first, next)
		}
	}
	if before := order.FirstID(time.UnixMilli(-1)); before != order.FirstID(time.UnixMilli(0)) {
		t.Errorf("before all time: %s", before)
	}
}
