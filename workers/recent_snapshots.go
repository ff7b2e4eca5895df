package workers

import "github.com/spillway/spillway/order"

const (
	// maxRecentSnapshots bounds the orders between their reservation and their settling that one reader of the journal remembers: three
	// seconds of 5,000 orders/s, which is how long a charge may take. The others cost one HGET each.
	maxRecentSnapshots = 16_384
	// maxRecentBytes bounds their snapshots, in bytes: 16,384 of about 500 bytes, with room for larger ones.
	maxRecentBytes = 16 << 20
)

// recentSnapshots holds the snapshots of the orders that were reserved last. At its bounds it forgets the oldest.
type recentSnapshots struct {
	maxOrders, maxBytes int

	byOrder map[order.ID][]byte
	// oldest are the orders in the sequence in which they were put; some may be taken already.
	oldest []order.ID
	bytes  int
}

func newRecentSnapshots(maxOrders, maxBytes int) recentSnapshots {
	return recentSnapshots{maxOrders: maxOrders, maxBytes: maxBytes, byOrder: make(map[order.ID][]byte)}
}

// put remembers the snapshot of an order.
func (r *recentSnapshots) put(id order.ID, snapshot []byte) {
	if _, seen := r.byOrder[id]; seen || len(snapshot) == 0 {
		return
	}
	r.byOrder[id] = snapshot
	r.oldest = append(r.oldest, id)
	r.bytes += len(snapshot)
	for len(r.oldest) > r.maxOrders || r.bytes > r.maxBytes {
		r.take(r.oldest[0])
		r.oldest = r.oldest[1:]
	}
}

// take returns the snapshot of an order and forgets it; nil if it is not remembered.
func (r *recentSnapshots) take(id order.ID) []byte {
	snapshot := r.byOrder[id]
	delete(r.byOrder, id)
	r.bytes -= len(snapshot)
	return snapshot
}
