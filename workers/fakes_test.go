package workers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
)

// errDown is a failure of a dependency, not of a row.
var errDown = errors.New("down")

const (
	reserved = spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RESERVED
	settled  = spillwayv1.OrderEventKind_ORDER_EVENT_KIND_SETTLED
	released = spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RELEASED
)

// event is one step of an order's life; each kind happens at a time of its own.
func event(o order.Order, kind spillwayv1.OrderEventKind) *spillwayv1.OrderEvent {
	e := &spillwayv1.OrderEvent{
		Kind: kind, OrderId: string(o.ID), Snapshot: snapshot(o), Time: timestamppb.New(at.Add(time.Duration(kind) * time.Second)),
	}
	if kind == released {
		e.Detail = "declined"
	}
	return e
}

func body(events ...*spillwayv1.OrderEvent) []byte {
	b, err := proto.Marshal(&spillwayv1.OrderEventBatch{Events: events})
	if err != nil {
		panic(err)
	}
	return b
}

// settledBody is one message with the settled events of all the orders.
func settledBody(orders ...order.Order) []byte {
	events := make([]*spillwayv1.OrderEvent, len(orders))
	for i, o := range orders {
		events[i] = event(o, settled)
	}
	return body(events...)
}

func events(t *testing.T, messages [][]byte) []*spillwayv1.OrderEvent {
	t.Helper()
	var out []*spillwayv1.OrderEvent
	for _, m := range messages {
		var batch spillwayv1.OrderEventBatch
		if err := proto.Unmarshal(m, &batch); err != nil {
			t.Fatalf("a message cannot be read: %v", err)
		}
		out = append(out, batch.GetEvents()...)
	}
	return out
}

// fakeConsumer is a consumer with leases that end at once: a message that is not acknowledged is delivered by each Receive.
type fakeConsumer struct {
	mu    sync.Mutex
	queue []queue.Message
	// ackErr, when set, returns the error of an acknowledgement; the messages then stay.
	ackErr func() error
	sent   int
}

var _ queue.Consumer = (*fakeConsumer)(nil)

func newFakeConsumer(bodies ...[]byte) *fakeConsumer {
	c := &fakeConsumer{}
	c.put(bodies...)
	return c
}

func (c *fakeConsumer) put(bodies ...[]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range bodies {
		c.sent++
		c.queue = append(c.queue, queue.Message{ID: fmt.Sprint("m", c.sent), Body: b})
	}
}

func (c *fakeConsumer) Receive(_ context.Context, most int, _ time.Duration) ([]queue.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(most, len(c.queue))
	for i := range n {
		c.queue[i].Attempt++
	}
	return slices.Clone(c.queue[:n]), nil
}

func (c *fakeConsumer) Ack(_ context.Context, messages ...queue.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ackErr != nil {
		if err := c.ackErr(); err != nil {
			return err
		}
	}
	for _, m := range messages {
		c.queue = slices.DeleteFunc(c.queue, func(q queue.Message) bool { return q.ID == m.ID })
	}
	return nil
}

func (*fakeConsumer) Release(context.Context, ...queue.Message) error { return nil }
func (*fakeConsumer) Close(context.Context) error                     { return nil }

// left is how many messages are not acknowledged.
func (c *fakeConsumer) left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// fakeProducer is a producer that records what is sent, and fails if err is set.
type fakeProducer struct {
	mu       sync.Mutex
	err      error
	sent     [][]byte
	attempts int
}

var _ queue.Producer = (*fakeProducer)(nil)

func (p *fakeProducer) Send(_ context.Context, topic string, messages ...queue.Outgoing) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attempts++
	if p.err != nil {
		return p.err
	}
	if topic != "orders" {
		return fmt.Errorf("topic %q: %w", topic, queue.ErrInvalid)
	}
	for _, m := range messages {
		p.sent = append(p.sent, m.Body)
	}
	return nil
}

func (*fakeProducer) Close(context.Context) error { return nil }

func (p *fakeProducer) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *fakeProducer) messages() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.sent)
}

// fakeDeadLetters is the dead-letter store, which fails if err is set.
type fakeDeadLetters struct {
	mu       sync.Mutex
	err      error
	messages []store.DeadLetter
}

func (d *fakeDeadLetters) Put(_ context.Context, letters ...store.DeadLetter) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return d.err
	}
	d.messages = append(d.messages, letters...)
	return nil
}

func mustRun(t *testing.T, iteration func(context.Context) (int, error), want int) {
	t.Helper()
	if n, err := iteration(t.Context()); err != nil || n != want {
		t.Errorf("the iteration returned %d, %v; want %d", n, err, want)
	}
}

func mustFail(t *testing.T, iteration func(context.Context) (int, error), want error) {
	t.Helper()
	if n, err := iteration(t.Context()); !errors.Is(err, want) || n != 0 {
		t.Errorf("the iteration returned %d, %v; want %v", n, err, want)
	}
}
