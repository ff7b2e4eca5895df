package workers_test

import (
	"errors"
	"testing"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// garbage are entries that no script writes, of those kinds that once stopped a worker for good.
func garbage(o order.Order) []map[string]string {
	with := func(kind, id, deltas string) map[string]string {
		return map[string]string{"kind": kind, "order": id, "deltas": deltas, "time": "1795884357241", "snapshot": string(snapshot(o))}
	}
	return []map[string]string{
		with("A", "a-1", ""), with("A", "a-2", "A:1,B:1"), with("A", "", "A:1"), with("R", "\xff", "A:-1"), with("R", string(o.ID), ""),
		with("L", string(o.ID), "A:90000000000000000000"), with("S", string(o.ID), "\xff"), with("B", "x", "A:1"),
		{"kind": "?", "\xff": "\xff"},
	}
}

// TestGarbage_StopsNeitherFlusherNorRelay: each entry becomes a dead letter, and the orders around it are processed (I10).
func TestGarbage_StopsNeitherFlusherNorRelay(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		s, out := openShop(t, db), &fakeProducer{}
		r := s.relay(out)
		mustRun(t, r.RunOnce, 0)
		before, after := freshOrder(), freshOrder()
		s.reserve(t, before)
		bad := garbage(freshOrder())
		for _, fields := range bad {
			s.add(t, 1, fields)
		}
		last := s.reserve(t, after)
		s.flush(t)
		s.wantPlace(t, last)
		s.wantStock(t, 96, 98)
		mustRun(t, r.RunOnce, len(bad)+2)
		wantSent(t, out, before, after)
		if n := s.unacked(t, 1); n != 0 {
			t.Errorf("%d entries are not acknowledged", n)
		}
		found := deadLetters(t, db)
		if len(found) != len(bad) {
			t.Errorf("%d dead letters; want one for each of %d entries", len(found), len(bad))
		}
		replayer := s.replayer()
		for _, f := range found {
			if err := replayer.Replay(t.Context(), f.ID, "op"); !errors.Is(err, order.ErrFailedPrecondition) {
				t.Errorf("replay of %s: %v; want ErrFailedPrecondition", f.Payload, err)
			}
		}
	})
}

// TestGarbage_ThatNamesAnOrder: the order's own release returns its units nevertheless.
func TestGarbage_ThatNamesAnOrder(t *testing.T) {
	s := openShop(t, openSQLite(t))
	o := freshOrder()
	s.reserve(t, o)
	s.add(t, 1, map[string]string{"kind": "S", "order": string(o.ID), "time": "noon"})
	s.release(t, o)
	s.flush(t)
	s.wantStock(t, 100, 100)
}

// TestEnvelopes_EventThatCannotBeMarshalled: the other events are marshalled.
func TestEnvelopes_EventThatCannotBeMarshalled(t *testing.T) {
	good1, good2 := freshOrder(), freshOrder()
	bodies, err := workers.MarshalEvents([]*spillwayv1.OrderEvent{
		{OrderId: string(good1.ID), Snapshot: snapshot(good1)}, {OrderId: "x", Detail: "\xff"}, {OrderId: string(good2.ID), Snapshot: snapshot(good2)},
	})
	if err == nil {
		t.Error("no error for an event that is not UTF-8")
	}
	var got []string
	for _, body := range bodies {
		for _, e := range events(t, [][]byte{body}) {
			got = append(got, e.GetOrderId())
		}
	}
	if len(got) != 2 || got[0] != string(good1.ID) || got[1] != string(good2.ID) {
		t.Errorf("the events of %v are sent; want those of %s and %s", got, good1.ID, good2.ID)
	}
}
