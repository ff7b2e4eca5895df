// Package breaker guards the calls that leave the process: each takes a permit of its dependency's circuit breaker, is bounded by a timeout,
// reports its outcome exactly once.
package breaker
