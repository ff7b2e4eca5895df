package main

import (
	"slices"
	"time"
)

func sortLatencies(l []time.Duration) { slices.Sort(l) }

// percentile is the smallest of the sorted values that p percent of them do not exceed; 0 when there are none.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// ratio is 0 when there is nothing to compare with.
func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}

// rate is n a second; 0 when no time passed.
func rate(n int, d time.Duration) float64 { return ratio(float64(n), d.Seconds()) }
