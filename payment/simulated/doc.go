// Package simulated is a payment provider for trials, tests, benchmarks: the number of a card decides its outcome.
package simulated
