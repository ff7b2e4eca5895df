package stock

import (
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/order"
)

// Kind says what a journal entry records.
type Kind string

const (
	// Reserved: the stock of an order was taken; the order is PENDING.
	Reserved Kind = "R"
	// Settled: the order was charged; it is PAID. It carries no deltas.
	Settled Kind = "S"
	// Released: the stock of an order was given back; it is CANCELLED.
	Released Kind = "L"
	// Restocked: the units of an order that SQL cancelled, or that was lost with an earlier Redis, were given back. It carries no
	// snapshot, and says nothing of the order's state.
	Restocked Kind = "B"
	// Adjusted: an operator changed a SKU's stock.
	Adjusted Kind = "A"
	// Unreadable: the entry says something that this program does not know. No script writes it; a reader of the group gets it in
	// the place of what it could not read.
	Unreadable Kind = ""
)

// StartID is the position before the first entry of a journal.
const StartID = "0-0"

// Entry is one line of the journal.
type Entry struct {
	// ID is the stream's id, "milliseconds-sequence". Within one epoch it only grows.
	ID   string
	Kind Kind
	// OrderID is the order (Reserved, Settled, Released, Restocked).
	OrderID order.ID
	// AdjustmentID is the adjustment (Adjusted).
	AdjustmentID string
	// Deltas are units, negative for what was taken.
	Deltas []order.Delta
	// Snapshot is the whole order, opaque here.
	Snapshot []byte
	Time     time.Time
	// Detail is the charge id (Settled), the reason as order.CancelReason.Encode made it (Released, Restocked), or why by the operator
	// (Adjusted).
	Detail string
	// Actor is who adjusted.
	Actor string
	// Trace is the W3C traceparent of the request, or empty.
	Trace string
}

// formatDemand is the form in which the scripts read an order's lines.
func formatDemand(demand []order.Demand) string {
	deltas := make([]order.Delta, len(demand))
	for i, d := range demand {
		deltas[i] = order.Delta{SKU: d.SKU, Units: int64(d.Quantity)}
	}
	return order.FormatDeltas(deltas)
}

// CompareIDs orders two stream ids. What is not an id sorts first.
func CompareIDs(a, b string) int {
	aMS, aSeq := splitID(a)
	bMS, bSeq := splitID(b)
	switch {
	case aMS != bMS && aMS < bMS, aMS == bMS && aSeq < bSeq:
		return -1
	case aMS == bMS && aSeq == bSeq:
		return 0
	}
	return 1
}

func splitID(id string) (ms, seq uint64) {
	a, b, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(a, 10, 64)
	seq, _ = strconv.ParseUint(b, 10, 64)
	return ms, seq
}

// Position is a place in the journals of one partition: an epoch and an id in it.
type Position struct {
	Epoch int64
	ID    string
}

// Reaches says whether p is at q or beyond it in the same epoch. Places of two epochs are not comparable: what an
// earlier epoch's journal held when it was closed is known to SQL alone.
func (p Position) Reaches(q Position) bool {
	return p.Epoch == q.Epoch && CompareIDs(p.ID, q.ID) >= 0
}
