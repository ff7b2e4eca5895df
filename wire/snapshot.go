package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// MarshalSnapshot returns the bytes of an order that are carried from its reservation to its row: marshalled once here,
// opaque to Redis and the queue.
func MarshalSnapshot(o order.Order) ([]byte, error) {
	if b, ok := appendSnapshot(&o); ok {
		return b, nil
	}
	return marshalSnapshot(o)
}

// marshalSnapshot makes the snapshot of any order through the generated messages.
func marshalSnapshot(o order.Order) ([]byte, error) {
	b, err := proto.Marshal(&spillwayv1.OrderSnapshot{
		Order: Order(o), IdempotencyKey: o.IdempotencyKey, Fingerprint: o.Fingerprint,
	})
	if err != nil {
		return nil, fmt.Errorf("marshal order %s: %w", o.ID, err)
	}
	return b, nil
}

// UnmarshalSnapshot is the inverse of MarshalSnapshot. A snapshot that it rejects is poison: it is not retryable.
func UnmarshalSnapshot(b []byte) (order.Order, error) {
	if o, ok := scanSnapshot(b); ok {
		return o, nil
	}
	return unmarshalSnapshot(b)
}

// unmarshalSnapshot reads any snapshot through the generated messages.
func unmarshalSnapshot(b []byte) (order.Order, error) {
	var m spillwayv1.OrderSnapshot
	if err := proto.Unmarshal(b, &m); err != nil {
		return order.Order{}, fmt.Errorf("unmarshal an order's snapshot: %w", err)
	}
	o, err := FromOrder(m.GetOrder())
	if err != nil {
		return order.Order{}, err
	}
	o.IdempotencyKey, o.Fingerprint = m.GetIdempotencyKey(), m.GetFingerprint()
	return o, nil
}
