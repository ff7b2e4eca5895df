package workers

import (
	"context"
	"time"

	"github.com/spillway/spillway/order"
)

// SetClock sets the relay's clock, so that a test decides when the relay claims entries.
func (r *OrderRelay) SetClock(now func() time.Time) { r.now = now }

// ClaimInterval is the time between two attempts to claim the entries of other relays.
const ClaimInterval = claimInterval

// MaxProgressWait is the time between two reads of SQL while the relay waits for a flusher of its process.
const MaxProgressWait = maxProgressWait

// PruneInterval is the number of flushes between two prunings of the dedup log.
const PruneInterval = pruneInterval

// SetClock sets the worker's clock.
func (r *PaymentReconciler) SetClock(now func() time.Time) { r.now = now }

// SetClock sets the worker's clock.
func (l *LostOrders) SetClock(now func() time.Time) { l.now = now }

// MarshalEvents returns the messages with the events.
var MarshalEvents = marshalEvents

// SetClock sets the worker's clock.
func (r *RefundRetrier) SetClock(now func() time.Time) { r.now = now }

// SetClock sets the worker's clock.
func (f *CancellationFinisher) SetClock(now func() time.Time) { f.now = now }

// SetClock sets the worker's clock.
func (r *OrderRepairer) SetClock(now func() time.Time) { r.now = now }

// SetClock sets the worker's clock.
func (s *Shipper) SetClock(now func() time.Time) { s.shipping.now = now }

// Envelopes returns the messages of journal entries.
var Envelopes = envelopes

// RecentSnapshots gives tests the snapshots that a reader of the journal remembers.
type RecentSnapshots struct{ recent recentSnapshots }

// NewRecentSnapshots makes one with the bounds.
func NewRecentSnapshots(maxOrders, maxBytes int) *RecentSnapshots {
	return &RecentSnapshots{recent: newRecentSnapshots(maxOrders, maxBytes)}
}

// Put remembers the snapshot of an order.
func (r *RecentSnapshots) Put(id order.ID, snapshot []byte) { r.recent.put(id, snapshot) }

// Take returns the snapshot of an order and forgets it.
func (r *RecentSnapshots) Take(id order.ID) []byte { return r.recent.take(id) }

// Size is the number of bytes and orders.
func (r *RecentSnapshots) Size() (bytes, orders int) { return r.recent.bytes, len(r.recent.byOrder) }

// Paced wraps an iteration that does at most full pieces of work.
func (p Pace) Paced(full int, runOnce func(context.Context) (int, error)) func(context.Context) (int, error) {
	return p.paced(full, runOnce)
}

// Poll and PollRecovery are the loops of workers that do not block.
var (
	Poll         = poll
	PollRecovery = pollRecovery
)
