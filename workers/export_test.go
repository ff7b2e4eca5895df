package workers

import "time"

// SetClock lets a test look for entries left behind when it wants to, and not once in two seconds.
func (r *OrderRelay) SetClock(now func() time.Time) { r.now = now }

// ClaimInterval is how often a relay looks for entries that another left behind.
const ClaimInterval = claimInterval

// PruneInterval is after how many flushes the dedup log is pruned.
const PruneInterval = pruneInterval

// SetClock sets what time it is.
func (r *PaymentReconciler) SetClock(now func() time.Time) { r.now = now }

// SetClock sets what time it is.
func (l *LostOrders) SetClock(now func() time.Time) { l.now = now }

// MarshalEvents makes the messages of events.
var MarshalEvents = marshalEvents

// SetClock sets what time it is.
func (r *RefundRetrier) SetClock(now func() time.Time) { r.now = now }

// SetClock sets what time it is.
func (f *CancellationFinisher) SetClock(now func() time.Time) { f.now = now }

// SetClock sets what time it is.
func (r *OrderRepairer) SetClock(now func() time.Time) { r.now = now }

// SetClock sets what time it is.
func (s *Shipper) SetClock(now func() time.Time) { s.shipping.now = now }
