package wire

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// Event is the content of an OrderEvent.
type Event struct {
	// Order is the order at the time of its reservation.
	Order order.Order
	// To is the state to which the event moves the order.
	To order.State
	At time.Time
	// Reason is the reason of a release; zero in other events.
	Reason order.CancelReason
	// Trace is the W3C traceparent of the request, or empty.
	Trace string
}

// kindStates maps each kind of event to the state to which it moves the order.
var kindStates = map[spillwayv1.OrderEventKind]order.State{
	spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RESERVED: order.Pending,
	spillwayv1.OrderEventKind_ORDER_EVENT_KIND_SETTLED:  order.Paid,
	spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RELEASED: order.Cancelled,
}

// FromEvent converts a message to an event. A message that it rejects is poison: it is not retryable.
func FromEvent(m *spillwayv1.OrderEvent) (Event, error) {
	to, ok := kindStates[m.GetKind()]
	if !ok {
		return Event{}, fmt.Errorf("event kind %v is unknown", m.GetKind())
	}
	o, err := UnmarshalSnapshot(m.GetSnapshot())
	if err != nil {
		return Event{}, err
	}
	if string(o.ID) != m.GetOrderId() {
		return Event{}, fmt.Errorf("the event of order %q carries order %q", m.GetOrderId(), o.ID)
	}
	e := Event{Order: o, To: to, At: m.GetTime().AsTime(), Trace: m.GetTraceparent()}
	if to == order.Cancelled {
		e.Reason = cancelReason(m.GetDetail(), m)
	}
	return e, nil
}

// ToEvent converts an event to its message.
func ToEvent(e Event) (*spillwayv1.OrderEvent, error) {
	snapshot, err := MarshalSnapshot(e.Order)
	if err != nil {
		return nil, err
	}
	m := &spillwayv1.OrderEvent{
		OrderId: string(e.Order.ID), Snapshot: snapshot, Time: timestamppb.New(e.At), Traceparent: e.Trace,
	}
	if e.To == order.Cancelled {
		SetReason(m, e.Reason)
	}
	for kind, state := range kindStates {
		if state == e.To {
			m.Kind = kind
		}
	}
	return m, nil
}

// UnmarshalBatch parses the body of a queue message. It rejects a batch without events: none is ever sent, but many
// bodies of other types parse as an empty batch.
func UnmarshalBatch(body []byte) (*spillwayv1.OrderEventBatch, error) {
	var m spillwayv1.OrderEventBatch
	if err := proto.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("unmarshal a message of events: %w", err)
	}
	if len(m.GetEvents()) == 0 {
		return nil, errors.New("the message holds no events")
	}
	return &m, nil
}

// TraceID is the trace id of a W3C traceparent, or empty.
func TraceID(traceparent string) string {
	// version-traceid-parentid-flags, where the trace id has 32 hexadecimal digits.
	parts := strings.Split(traceparent, "-")
	if len(parts) < 4 || len(parts[1]) != 32 || strings.Trim(parts[1], "0123456789abcdef") != "" {
		return ""
	}
	return parts[1]
}
