// Package simulated implements a payment provider for development, tests and benchmarks. It moves no money: the number of a card decides the
// outcome of its charge. Outcomes are stored in memory or in a file.
package simulated
