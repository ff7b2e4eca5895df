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

// DeadLetters is the dead-letter store. Put returns nil when all are written. It is idempotent by their keys.
type DeadLetters interface {
	Put(ctx context.Context, letters ...store.DeadLetter) error
}

// reader reads the events in messages, and writes dead letters of what it cannot read.
type reader struct {
	// source is the worker's name in the dead letters.
	source string
	dead   DeadLetters
	// paidOnly leaves out the events of orders that were not paid, without reading their orders.
	paidOnly bool
}

// deadLetter is a dead letter of a worker.
type deadLetter struct {
	// key is unique among the worker's dead letters; orderID may be empty.
	key, orderID string
	// typ is the type of the payload, a wire.Type constant.
	typ     string
	payload []byte
	// trace is the W3C traceparent of the request.
	trace    string
	attempts int
	reason   error
}

// traceHeader is the message header with the trace context.
const traceHeader = "traceparent"

// read returns the events in the messages. It writes a message or event that cannot be read to failed_orders, and fails only if that
// write fails, so that no unread message is acknowledged (I10).
func (r reader) read(ctx context.Context, messages []queue.Message) ([]order.Event, error) {
	var out []order.Event
	for _, m := range messages {
		batch, typ, err := batchOf(m)
		if err != nil {
			err = r.deadLetter(ctx, deadLetter{
				key: "message/" + m.ID, typ: typ, payload: m.Body, trace: m.Headers[traceHeader], attempts: m.Attempt, reason: err,
			})
			if err != nil {
				return nil, err
			}
			continue
		}
		for i, e := range batch.GetEvents() {
			if r.paidOnly && notPaid(e.GetKind()) {
				continue
			}
			c, err := wire.FromEvent(e)
			if err == nil {
				out = append(out, c)
				continue
			}
			if err := r.deadLetterEvent(ctx, fmt.Sprintf("message/%s/%d", m.ID, i), e, m.Attempt, err); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// batchOf reads the events of a message. After an error it returns the type of its dead letter.
func batchOf(m queue.Message) (batch *spillwayv1.OrderEventBatch, typ string, err error) {
	if err := m.CheckBody(); err != nil {
		return nil, wire.TypeCorrupt, err
	}
	batch, err = wire.UnmarshalBatch(m.Body)
	return batch, wire.TypeBatch, err
}

// notPaid reports whether events of the kind lead to another state than PAID. An unknown kind may lead to it.
func notPaid(k spillwayv1.OrderEventKind) bool {
	return k == spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RESERVED || k == spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RELEASED
}

// deadLetterChange writes a change to the dead-letter store, as an event.
func (r reader) deadLetterChange(ctx context.Context, key string, c order.Event, attempts int, reason error) error {
	m, err := wire.ToEvent(c)
	if err != nil {
		return err
	}
	return r.deadLetterEvent(ctx, key, m, attempts, reason)
}

func (r reader) deadLetterEvent(ctx context.Context, key string, m *spillwayv1.OrderEvent, attempts int, reason error) error {
	raw, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("marshal an event for failed_orders: %w", err)
	}
	return r.deadLetter(ctx, deadLetter{
		key: key, orderID: m.GetOrderId(), typ: wire.TypeEvent, payload: raw, trace: m.GetTraceparent(), attempts: attempts, reason: reason,
	})
}

func (r reader) deadLetter(ctx context.Context, l deadLetter) error {
	err := r.dead.Put(ctx, store.DeadLetter{
		DedupKey: r.source + "/" + l.key, Source: r.source, OrderID: l.orderID, Reason: oneLine(l.reason), PayloadType: l.typ,
		Payload: l.payload, TraceID: wire.TraceID(l.trace), Attempts: l.attempts,
	})
	if err != nil {
		return fmt.Errorf("write to failed_orders: %w", err)
	}
	return nil
}

// oneLine returns the text of the error on one line. It replaces the non-breaking spaces that protobuf inserts at random.
func oneLine(err error) string {
	return strings.NewReplacer("\n", "; ", "\u00a0", " ").Replace(err.Error())
}

// paid returns the orders that the changes made PAID, each once.
func paid(changes []order.Event) []order.Order {
	seen := make(map[order.ID]bool, len(changes))
	var out []order.Order
	for _, c := range changes {
		if c.To == order.Paid && !seen[c.Order.ID] {
			seen[c.Order.ID] = true
			o := c.Order
			o.State, o.UpdatedAt, o.Trace = order.Paid, c.At, c.Trace
			out = append(out, o)
		}
	}
	return out
}
