// Package simulated implements a carrier in memory, for development, tests and benchmarks. Its mode decides how it responds.
package simulated
