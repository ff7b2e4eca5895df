package order_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

func TestID_TimeAndPartition(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 12, 0, 0, 123e6, time.UTC)
	id := order.NewID(7, at)
	if got, err := order.ParseID(string(id)); err != nil || got != id || id.Partition() != 7 || !id.Time().Equal(at) || len(id) != order.IDLen {
		t.Errorf("%s: partition %d, time %s (%v)", id, id.Partition(), id.Time(), err)
	}
	if later := order.NewID(0, at.Add(time.Millisecond)); later <= id {
		t.Errorf("%s was made after %s and sorts before it", later, id)
	}
	if again := order.NewID(7, at); again == id {
		t.Error("two ids of one millisecond are the same")
	}
	for _, bad := range []string{"", "x", strings.Repeat("!", order.IDLen), strings.Repeat("0", order.IDLen+1), strings.ToLower(string(id)), "\n" + strings.Repeat("0", order.IDLen-1)} {
		if _, err := order.ParseID(bad); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("ParseID(%q) = %v", bad, err)
		}
	}
}

// TestFirstID_BoundsItsMillisecond covers the first and the last times that an ID can hold.
func TestFirstID_BoundsItsMillisecond(t *testing.T) {
	t.Parallel()
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

// FuzzParseID checks that text is either no ID, or names a time and a partition from which the same prefix follows.
func FuzzParseID(f *testing.F) {
	f.Add(string(order.NewID(7, time.UnixMilli(1_700_000_000_000))))
	f.Add(strings.Repeat("Z", order.IDLen))
	f.Add(strings.Repeat("0", order.IDLen-1) + "\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := order.ParseID(text)
		if err != nil {
			if !errors.Is(err, order.ErrNotFound) || id != "" {
				t.Errorf("ParseID(%q) = %q, %v", text, id, err)
			}
			return
		}
		if string(id) != text || len(id) != order.IDLen {
			t.Errorf("ParseID(%q) = %q", text, id)
		}
		if first, next := order.FirstID(id.Time()), order.FirstID(id.Time().Add(time.Millisecond)); id < first || (next > first && id >= next) {
			t.Errorf("%s of %s is not in %s to %s", id, id.Time(), first, next)
		}
	})
}
