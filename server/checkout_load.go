package server

import "sync/atomic"

// CheckoutLoad counts the requests in progress that place or pay an order. Those that wait for a response of the payment provider do not count,
// because they need no CPU; those that wait for Redis or SQL do. An Admission counts them. It is safe for concurrent use.
type CheckoutLoad struct{ inFlight atomic.Int64 }

// InFlight returns the number of requests in progress.
func (l *CheckoutLoad) InFlight() int { return int(l.inFlight.Load()) }

// add counts n more requests. A nil *CheckoutLoad counts nothing.
func (l *CheckoutLoad) add(n int64) {
	if l != nil {
		l.inFlight.Add(n)
	}
}
