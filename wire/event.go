package wire

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/tracing"
)

// eventKinds pairs each kind of event with the state that it leads to.
var eventKinds = [...]struct {
	kind spillwayv1.OrderEventKind
	to   order.State
}{
	{spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RESERVED, order.Pending},
	{spillwayv1.OrderEventKind_ORDER_EVENT_KIND_SETTLED, order.Paid},
	{spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RELEASED, order.Cancelled},
}

// EventKind returns the kind of the event that leads to the state; unspecified when there is none.
func EventKind(to order.State) spillwayv1.OrderEventKind {
	for _, e := range eventKinds {
		if e.to == to {
			return e.kind
		}
	}
	return spillwayv1.OrderEventKind_ORDER_EVENT_KIND_UNSPECIFIED
}

func eventState(kind spillwayv1.OrderEventKind) (to order.State, ok bool) {
	for _, e := range eventKinds {
		if e.kind == kind {
			return e.to, true
		}
	}
	return 0, false
}

// FromEvent converts a message to an event. A message that it rejects is poison: it is not retryable.
func FromEvent(m *spillwayv1.OrderEvent) (order.Event, error) {
	to, ok := eventState(m.GetKind())
	if !ok {
		return order.Event{}, fmt.Errorf("event kind %v is unknown", m.GetKind())
	}
	o, err := UnmarshalSnapshot(m.GetSnapshot())
	if err != nil {
		return order.Event{}, err
	}
	if string(o.ID) != m.GetOrderId() {
		return order.Event{}, fmt.Errorf("the event of order %q carries order %q", m.GetOrderId(), o.ID)
	}
	e := order.Event{Order: o, To: to, At: m.GetTime().AsTime(), Trace: tracing.Join(m.GetTraceparent(), m.GetTracestate())}
	if to == order.Cancelled {
		e.Reason = cancelReason(m.GetDetail(), m)
	}
	return e, nil
}

// ToEvent converts an event to its message.
func ToEvent(e order.Event) (*spillwayv1.OrderEvent, error) {
	snapshot, err := MarshalSnapshot(e.Order)
	if err != nil {
		return nil, err
	}
	parent, state := tracing.Split(e.Trace)
	m := &spillwayv1.OrderEvent{
		Kind: EventKind(e.To), OrderId: string(e.Order.ID), Snapshot: snapshot, Time: timestamppb.New(e.At), Traceparent: parent, Tracestate: state,
	}
	if e.To == order.Cancelled {
		SetReason(m, e.Reason)
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
