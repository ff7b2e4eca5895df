package main

import (
	"slices"
	"time"
)

func sortLatencies(l []time.Duration) { slices.Sort(l) }

// percentile returns the smallest of the sorted values that p percent of them do not exceed; 0 if there are none.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*p + 99) / 100
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// ratio returns a / b, or 0 if b is 0.
func ratio(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}

// rate returns n per second; 0 if no time passed.
func rate(n int, d time.Duration) float64 { return ratio(float64(n), d.Seconds()) }
