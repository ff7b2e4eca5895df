// Package breaker guards calls to dependencies by circuit breakers and timeouts. A guarded call takes a permit of its dependency's breaker, is
// bounded by a timeout, and reports its outcome exactly once. While a breaker is open, calls fail at once with a retry hint. The package
// retries nothing itself.
package breaker
