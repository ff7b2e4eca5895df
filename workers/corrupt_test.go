package workers_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
	"github.com/spillway/spillway/workers"
)

// TestReaders_CorruptMessage: a message that still reads as events, but not as those that were sent, is a dead letter that no replay
// applies.
func TestReaders_CorruptMessage(t *testing.T) {
	a, o := newReplayer(t), someOrder(t, "k")
	sent, err := queue.Prepare(t.Context(), []queue.Outgoing{{Body: raw(t, batch(step(t, o, order.Paid)))}})
	if err != nil {
		t.Fatal(err)
	}
	corrupt := queue.Message{ID: "m1", Headers: sent[0].Headers, Attempt: 1, Body: bytes.Replace(sent[0].Body, []byte(o.Email), []byte("x"+o.Email[1:]), 1)}
	if bytes.Equal(corrupt.Body, sent[0].Body) {
		t.Fatal("the body has no address to change")
	}
	if _, err := wire.UnmarshalBatch(corrupt.Body); err != nil {
		t.Fatalf("the corrupt body does not read as events: %v", err)
	}
	in := &fakeOnceConsumer{messages: []queue.Message{corrupt}}
	writer := workers.NewOrderWriter(workers.DefaultWriterConfig(), in, a.orders, a.dead, noHotOrders{}, &fakeCanceller{}, quiet)
	if _, err := writer.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	drainOf := &fakeOnceConsumer{messages: []queue.Message{corrupt}}
	if _, err := workers.NewDeadLetterDrain(workers.DefaultDrainConfig("orders"), drainOf, a.dead, quiet).RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	found, err := a.dead.List(t.Context(), store.DeadLetterFilter{}, 0, 10)
	if err != nil || len(found) != 2 || len(in.acked) != 1 {
		t.Fatalf("dead letters %+v, %v, and %d acknowledged; want one of the writer and one of the drain", found, err, len(in.acked))
	}
	for _, l := range found {
		if l.PayloadType != wire.TypeCorrupt || l.OrderID != "" {
			t.Errorf("the dead letter is %+v", l)
		}
		if err := a.Replay(t.Context(), l.ID, "op"); !errors.Is(err, order.ErrFailedPrecondition) {
			t.Errorf("replay: %v, want %v", err, order.ErrFailedPrecondition)
		}
	}
	if got, err := a.orders.Get(t.Context(), o.ID); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("the order is %+v, %v; want no row", got, err)
	}
}
