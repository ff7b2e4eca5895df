package workers

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// DeadLetters takes what no retry can help.
type DeadLetters interface {
	Put(ctx context.Context, f store.DeadLetter) error
}

// reader turns messages into changes and puts aside what cannot be read.
type reader struct {
	source string
	dead   DeadLetters
}

// letter is what a worker puts aside.
type letter struct {
	// key names the failure among those of the worker.
	key, orderID string
	// typ says what the payload is.
	typ     string
	payload []byte
	// trace is the W3C traceparent of the request.
	trace    string
	attempts int
	reason   error
}

// headerTrace is the header in which the queue carries the trace context.
const headerTrace = "traceparent"

// read returns the changes in the messages. A message or event that cannot be read is written to failed_orders; only
// when that fails does read fail, so that nothing unread is acknowledged (I10).
func (r reader) read(ctx context.Context, messages []queue.Message) ([]order.Event, error) {
	var out []order.Event
	for _, m := range messages {
		batch, err := wire.UnmarshalBatch(m.Body)
		if err != nil {
			err = r.bury(ctx, letter{
				key: "message/" + m.ID, typ: wire.TypeBatch, payload: m.Body, trace: m.Headers[headerTrace], attempts: m.Attempt, reason: err,
			})
			if err != nil {
				return nil, err
			}
			continue
		}
		for i, e := range batch.GetEvents() {
			c, err := wire.FromEvent(e)
			if err == nil {
				out = append(out, c)
				continue
			}
			if err := r.buryEvent(ctx, fmt.Sprintf("message/%s/%d", m.ID, i), e, m.Attempt, err); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// buryChange writes a change to the dead-letter store as the event that it was.
func (r reader) buryChange(ctx context.Context, key string, c order.Event, attempts int, reason error) error {
	m, err := wire.ToEvent(c)
	if err != nil {
		return err
	}
	return r.buryEvent(ctx, key, m, attempts, reason)
}

func (r reader) buryEvent(ctx context.Context, key string, m *spillwayv1.OrderEvent, attempts int, reason error) error {
	raw, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("marshal an event for failed_orders: %w", err)
	}
	return r.bury(ctx, letter{
		key: key, orderID: m.GetOrderId(), typ: wire.TypeEvent, payload: raw, trace: m.GetTraceparent(), attempts: attempts, reason: reason,
	})
}

func (r reader) bury(ctx context.Context, l letter) error {
	err := r.dead.Put(ctx, store.DeadLetter{
		DedupKey: r.source + "/" + l.key, Source: r.source, OrderID: l.orderID, Reason: plainly(l.reason), PayloadType: l.typ,
		Payload: l.payload, TraceID: wire.TraceID(l.trace), Attempts: l.attempts,
	})
	if err != nil {
		return fmt.Errorf("write to failed_orders: %w", err)
	}
	return nil
}

// plainly is an error on one line, with the spaces that protobuf makes unbreakable at random.
func plainly(err error) string {
	return strings.NewReplacer("\n", "; ", "\u00a0", " ").Replace(err.Error())
}

// paid are the orders that the changes made PAID, each once, as they were reserved.
func paid(changes []order.Event) []order.Order {
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
