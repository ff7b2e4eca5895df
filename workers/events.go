package workers

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// DeadLetters takes what no retry can help.
type DeadLetters interface {
	Put(ctx context.Context, f store.FailedOrder) error
}

// event2state says which state each kind of event brings about.
var event2state = map[spillwayv1.OrderEventKind]order.State{
	spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RESERVED: order.Pending,
	spillwayv1.OrderEventKind_ORDER_EVENT_KIND_SETTLED:  order.Paid,
	spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RELEASED: order.Cancelled,
}

// reader turns messages into changes and puts aside what cannot be read.
type reader struct {
	source string
	dead   DeadLetters
}

// read returns the changes in the messages. A message or event that cannot be read is written to failed_orders; only
// when that fails does read fail, so that nothing unread is acknowledged (I10).
func (r reader) read(ctx context.Context, messages []queue.Message) ([]store.Change, error) {
	var out []store.Change
	for _, m := range messages {
		var batch spillwayv1.OrderEventBatch
		if err := proto.Unmarshal(m.Body, &batch); err != nil {
			if err := r.bury(ctx, "message/"+m.ID, "", m.Body, m.Attempt, err); err != nil {
				return nil, err
			}
			continue
		}
		for i, e := range batch.GetEvents() {
			change, err := r.change(e)
			if err == nil {
				out = append(out, change)
				continue
			}
			raw, merr := proto.Marshal(e)
			if merr != nil {
				return nil, fmt.Errorf("marshal an event for failed_orders: %w", merr)
			}
			if err := r.bury(ctx, fmt.Sprintf("message/%s/%d", m.ID, i), e.GetOrderId(), raw, m.Attempt, err); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (reader) change(e *spillwayv1.OrderEvent) (store.Change, error) {
	to, ok := event2state[e.GetKind()]
	if !ok {
		return store.Change{}, fmt.Errorf("event kind %v is unknown", e.GetKind())
	}
	o, err := wire.UnmarshalSnapshot(e.GetSnapshot())
	if err != nil {
		return store.Change{}, err
	}
	if string(o.ID) != e.GetOrderId() {
		return store.Change{}, fmt.Errorf("the event of order %s carries order %s", e.GetOrderId(), o.ID)
	}
	c := store.Change{Order: o, To: to, At: e.GetTime().AsTime()}
	if to == order.Cancelled {
		c.Reason = e.GetDetail()
	}
	return c, nil
}

func (r reader) bury(ctx context.Context, key, orderID string, payload []byte, attempts int, reason error) error {
	err := r.dead.Put(ctx, store.FailedOrder{
		DedupKey: r.source + "/" + key, Source: r.source, OrderID: orderID, Reason: reason.Error(), Payload: payload, Attempts: attempts,
	})
	if err != nil {
		return fmt.Errorf("write to failed_orders: %w", err)
	}
	return nil
}

// paid are the orders that the changes made PAID, each once, as they were reserved.
func paid(changes []store.Change) []order.Order {
	seen := make(map[order.ID]bool, len(changes))
	var out []order.Order
	for _, c := range changes {
		if c.To == order.Paid && !seen[c.Order.ID] {
			seen[c.Order.ID] = true
			o := c.Order
			o.State, o.UpdatedAt = order.Paid, c.At
			out = append(out, o)
		}
	}
	return out
}
