package workers_test

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// laterField is a field that no message of this version has.
const laterField = 1000

// withLaterField is a message to which a later version has added a field.
func withLaterField(message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(append([]byte(nil), message...), laterField, protowire.BytesType), []byte("later"))
}

// TestWorkers_EntryAndMessageOfNewerVersion: while a shop is upgraded, and after a rollback, this version reads what the next one wrote. It may have added
// fields to entries of the journal, orders, events and messages, and none is a dead letter for that.
func TestWorkers_EntryAndMessageOfNewerVersion(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, db *store.DB) {
		s, out := openShop(t, db), &fakeProducer{}
		sources, _ := s.counted()
		r := s.relayFrom(sources, out, s.dead)
		mustRun(t, r.RunOnce, 0)
		before := freshOrder()
		s.reserve(t, before) // The counters are loaded.
		paid := freshOrder()
		s.add(t, 1, map[string]string{
			"kind": "R", "order": string(paid.ID), "time": "1795884357241", "deltas": "A:-2,B:-1", "snapshot": string(withLaterField(snapshot(paid))), "later": "1",
		})
		s.add(t, 1, map[string]string{"kind": "S", "order": string(paid.ID), "time": "1795884357242", "detail": "ch", "later": "1"})
		s.flush(t)
		mustRun(t, r.RunOnce, 3)
		sent := out.messages()
		for i := range sent {
			sent[i] = withLaterField(sent[i])
		}
		w := newWriterFixture(db, s.dead, 10, sent...)
		if n := drained(t, w.RunOnce); n != 2 {
			t.Errorf("%d events were written; want 2", n)
		}
		wantState(t, w.orders.Orders, paid.ID, order.Paid)
		wantState(t, w.orders.Orders, before.ID, order.Pending)
		if o, err := w.orders.Get(t.Context(), paid.ID); err != nil || len(o.Lines) != 2 || o.Total != paid.Total {
			t.Errorf("the row is %+v (%v)", o, err)
		}
		if n, err := s.dead.CountOpen(t.Context()); err != nil || len(n) != 0 {
			t.Errorf("dead letters %v (%v)", n, err)
		}
	})
}
