// Package simulated implements a carrier for development, tests and benchmarks, with its parcels in memory or in a file. Its mode decides how it
// responds.
package simulated
