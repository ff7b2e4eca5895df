package app

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestTuneMemory_EnvironmentComesFirst(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) })
	for name, c := range map[string]struct {
		gogc, gomemlimit string
		percent          int
		limit            int64
	}{
		"neither": {"", "", gcPercent, memoryLimit},
		"GOGC":    {"50", "", 77, memoryLimit},
		"limit":   {"", "1GiB", gcPercent, math.MaxInt64},
		"both":    {"off", "off", 77, math.MaxInt64},
	} {
		t.Setenv("GOGC", c.gogc)
		t.Setenv("GOMEMLIMIT", c.gomemlimit)
		debug.SetGCPercent(77)
		debug.SetMemoryLimit(math.MaxInt64)
		tuneMemory()
		if got := debug.SetGCPercent(77); got != c.percent {
			t.Errorf("%s: the percentage is %d; want %d", name, got, c.percent)
		}
		if got := debug.SetMemoryLimit(-1); got != c.limit {
			t.Errorf("%s: the limit is %d; want %d", name, got, c.limit)
		}
	}
}
