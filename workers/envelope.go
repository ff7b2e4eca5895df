package workers

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/stock"
)

var kindEvents = map[stock.Kind]spillwayv1.OrderEventKind{
	stock.Reserved: spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RESERVED,
	stock.Settled:  spillwayv1.OrderEventKind_ORDER_EVENT_KIND_SETTLED,
	stock.Released: spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RELEASED,
}

// carriesOrder says whether entries of the kind say something of an order's state.
func carriesOrder(k stock.Kind) bool {
	_, ok := kindEvents[k]
	return ok
}

// envelopes packs the entries into as few messages as their size allows. A reservation that is settled or released in
// the same batch is left out: the later event carries the whole order.
func envelopes(entries []stock.Entry) ([]queue.Outgoing, error) {
	finished := make(map[order.ID]bool)
	for _, e := range entries {
		if e.Kind == stock.Settled || e.Kind == stock.Released {
			finished[e.OrderID] = true
		}
	}
	var out []queue.Outgoing
	batch, size := &spillwayv1.OrderEventBatch{}, 0
	pack := func() error {
		if len(batch.GetEvents()) == 0 {
			return nil
		}
		body, err := proto.Marshal(batch)
		if err != nil {
			return fmt.Errorf("marshal %d events: %w", len(batch.GetEvents()), err)
		}
		out = append(out, queue.Outgoing{Body: body})
		batch, size = &spillwayv1.OrderEventBatch{}, 0
		return nil
	}
	for _, e := range entries {
		// What cannot be read the flusher has put into failed_orders.
		if !carriesOrder(e.Kind) || (e.Kind == stock.Reserved && finished[e.OrderID]) {
			continue
		}
		if size+len(e.Snapshot) > messageBytesMax {
			if err := pack(); err != nil {
				return nil, err
			}
		}
		batch.Events = append(batch.Events, event(e))
		size += len(e.Snapshot)
	}
	return out, pack()
}

func event(e stock.Entry) *spillwayv1.OrderEvent {
	return &spillwayv1.OrderEvent{
		Kind: kindEvents[e.Kind], OrderId: string(e.OrderID), Snapshot: e.Snapshot, Time: timestamppb.New(e.Time),
		Detail: e.Detail, Traceparent: e.Trace,
	}
}
