package workers

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/tracing"
	"github.com/spillway/spillway/wire"
)

// carriesOrder reports whether entries of the kind bring an order to a state.
func carriesOrder(k journal.Kind) bool {
	_, ok := k.State()
	return ok
}

// envelopes packs the entries into as few messages as maxMessageBytes allows. It omits a reservation that is settled or released in the
// same batch, because the later event carries the whole order. It omits an event that cannot be marshalled, and returns the error beside
// the messages: retries cannot succeed, and must not delay the others (I10).
func envelopes(entries []journal.Entry) ([]queue.Outgoing, error) {
	var out []queue.Outgoing
	var errs []error
	batch, size := []*spillwayv1.OrderEvent{}, 0
	flush := func() {
		bodies, err := marshalEvents(batch)
		for _, body := range bodies {
			out = append(out, queue.Outgoing{Body: body})
		}
		errs = append(errs, err)
		batch, size = batch[:0], 0
	}
	for _, e := range lastEvents(entries) {
		if size+len(e.Snapshot) > maxMessageBytes {
			flush()
		}
		batch = append(batch, event(e))
		size += len(e.Snapshot)
	}
	flush()
	return out, errors.Join(errs...)
}

// lastEvents returns the entries to be sent: those that carry an order, without reservations that the batch also settles or releases.
func lastEvents(entries []journal.Entry) []journal.Entry {
	finished := make(map[order.ID]bool)
	for _, e := range entries {
		if e.Kind == journal.Settled || e.Kind == journal.Released {
			finished[e.OrderID] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(entries), func(e journal.Entry) bool {
		return !carriesOrder(e.Kind) || (e.Kind == journal.Reserved && finished[e.OrderID])
	})
}

// marshalEvents returns one message with the events or, if one of them cannot be marshalled, one message for each that can.
func marshalEvents(events []*spillwayv1.OrderEvent) (bodies [][]byte, err error) {
	if len(events) == 0 {
		return nil, nil
	}
	body, err := proto.Marshal(&spillwayv1.OrderEventBatch{Events: events})
	if err == nil {
		return [][]byte{body}, nil
	}
	if len(events) == 1 {
		return nil, fmt.Errorf("marshal the event of order %q: %w", events[0].GetOrderId(), err)
	}
	var errs []error
	for i := range events {
		one, err := marshalEvents(events[i : i+1])
		bodies, errs = append(bodies, one...), append(errs, err)
	}
	return bodies, errors.Join(errs...)
}

func event(e journal.Entry) *spillwayv1.OrderEvent {
	to, _ := e.Kind.State()
	parent, state := tracing.Split(e.Trace)
	m := &spillwayv1.OrderEvent{
		Kind: wire.EventKind(to), OrderId: string(e.OrderID), Snapshot: e.Snapshot, Time: timestamppb.New(e.Time),
		Detail: e.Detail, Traceparent: parent, Tracestate: state,
	}
	if e.Kind == journal.Released {
		wire.SetReason(m, order.ParseCancelReason(e.Detail))
	}
	return m
}
