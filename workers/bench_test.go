package workers_test

import (
	"context"
	"testing"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/workers"
)

// flushedStore is SQL with every journal flushed to its end.
type flushedStore struct{}

func (flushedStore) EpochAt(_ context.Context, _ uint8, number int64) (journal.Epoch, error) {
	return journal.Epoch{Number: number, LastID: "9999999999999-0"}, nil
}

// discardProducer counts the bytes of messages.
type discardProducer struct {
	fakeProducer

	bytes int
}

func (p *discardProducer) Send(_ context.Context, _ string, messages ...queue.Outgoing) error {
	for _, m := range messages {
		p.bytes += len(m.Body)
	}
	return nil
}

// BenchmarkOrderRelay relays paid orders, one an operation: with the order in both entries of each, as an earlier version wrote them; in the
// first one only; and by a relay that has not read the first ones, because another one relayed them.
func BenchmarkOrderRelay(b *testing.B) {
	const reservedAhead = 50 // orders between the reservation of one and its payment
	for _, c := range []struct {
		name        string
		whole, cold bool
	}{{"order in both entries", true, false}, {"order in one entry", false, false}, {"order in the hot order", false, true}} {
		b.Run(c.name, func(b *testing.B) {
			s := openShop(b, openSQLite(b))
			relayed := workers.DefaultRelayConfig("orders", "relay-1")
			relayed.Block = briefly
			out := &discardProducer{}
			relay := func() *workers.OrderRelay {
				return workers.NewOrderRelay(relayed, s.journal, flushedStore{}, s.snapshots(), out, s.dead, quiet)
			}
			mustIterate(b, relay()) // It makes the group.
			var orders []order.Order
			var first, second rueidis.Commands
			client := s.redis.Client()
			add := func(o order.Order, kind string, snapshot []byte) rueidis.Completed {
				cmd := client.B().Xadd().Key(s.keys.Journal(1)).Id("*").FieldValue().FieldValue("kind", kind).FieldValue("order", string(o.ID)).
					FieldValue("time", "1795884357241").FieldValue("detail", "ch_"+string(o.ID)).FieldValue("trace", "")
				if kind == "R" {
					cmd = cmd.FieldValue("deltas", "A:-2,B:-1")
				}
				if snapshot != nil {
					cmd = cmd.FieldValue("snapshot", string(snapshot))
				}
				return cmd.Build()
			}
			for range b.N {
				o := freshOrder()
				orders = append(orders, o)
				first = append(first, add(o, "R", snapshot(o)),
					client.B().Hset().Key(s.keys.Order(o.ID)).FieldValue().FieldValue("snapshot", string(snapshot(o))).Build())
				n := len(orders) - reservedAhead
				if c.cold {
					n = len(orders)
				}
				if n > 0 {
					settledOrder := orders[n-1]
					var repeated []byte
					if c.whole {
						repeated = snapshot(settledOrder)
					}
					if c.cold {
						second = append(second, add(settledOrder, "S", repeated))
					} else {
						first = append(first, add(settledOrder, "S", repeated))
					}
				}
			}
			write := func(cmds rueidis.Commands) {
				for _, r := range client.DoMulti(b.Context(), cmds...) {
					if err := r.Error(); err != nil {
						b.Fatal(err)
					}
				}
			}
			write(first)
			if c.cold {
				for r := relay(); mustIterate(b, r) > 0; {
				}
				write(second)
			}
			r := relay()
			out.bytes = 0
			b.ReportAllocs()
			b.ResetTimer()
			for mustIterate(b, r) > 0 {
			}
			b.StopTimer()
			b.ReportMetric(float64(out.bytes)/float64(b.N), "queue-B/op")
		})
	}
}

func mustIterate(b *testing.B, r *workers.OrderRelay) int {
	b.Helper()
	n, err := r.RunOnce(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return n
}
