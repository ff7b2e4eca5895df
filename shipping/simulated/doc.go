// Package simulated is a carrier for trials, tests, benchmarks.
package simulated
