package onlineboutique

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/throttle"
)

// TestWithoutOrder_OnceAMinute checks that calls without an order do not flood the log.
func TestWithoutOrder_OnceAMinute(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(1_800_000_000, 0)
	s := Shop{Log: slog.New(slog.NewTextHandler(&out, nil)), Now: func() time.Time { return now }, warned: &throttle.Interval{}}
	for range 100 {
		s.withoutOrder(t.Context(), "nothing happened")
	}
	now = now.Add(warningInterval)
	s.withoutOrder(t.Context(), "nothing happened")
	if n := strings.Count(out.String(), "nothing happened"); n != 2 {
		t.Errorf("%d warnings of 101 calls, want 2", n)
	}
}
