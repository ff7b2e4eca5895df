package workers_test

import (
	"context"
	"slices"
	"testing"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// iterator is a worker.
type iterator interface {
	RunOnce(ctx context.Context) (int, error)
}

// TestReader_OrdersThatWereNotPaid are read by the order writer alone, so that only it makes dead letters of them; an unreadable payment is a
// dead letter of each consumer.
func TestReader_OrdersThatWereNotPaid(t *testing.T) {
	bad, paid, good := event(freshOrder(), reserved), event(freshOrder(), settled), freshOrder()
	bad.Snapshot, paid.Snapshot = []byte("\xff"), []byte("\xff")
	message := body(bad, paid, event(freshOrder(), 99), event(good, settled))
	for name, c := range map[string]struct {
		make func(in *fakeConsumer, dead workers.DeadLetters) iterator
		want []string
	}{
		"shipper": {func(in *fakeConsumer, dead workers.DeadLetters) iterator {
			return workers.NewShipper(workers.DefaultShipConfig(), in, newFakeMemoryShipStore(order.Paid, good), dead, &fakeCarrier{}, quiet)
		}, []string{"shipper/message/m1/1", "shipper/message/m1/2"}},
		"mailer": {func(in *fakeConsumer, dead workers.DeadLetters) iterator {
			return newMailer(in, dead, &fakeCountingMailClient{})
		}, []string{"mailer/message/m1/1", "mailer/message/m1/2"}},
		"order writer": {func(in *fakeConsumer, dead workers.DeadLetters) iterator {
			return workers.NewOrderWriter(workers.DefaultWriterConfig(), in, store.NewOrders(openSQLite(t)), dead, noHotOrders{}, &fakeCanceller{}, quiet)
		}, []string{"order_writer/message/m1/0", "order_writer/message/m1/1", "order_writer/message/m1/2"}},
	} {
		in, dead := newFakeConsumer(message), &fakeDeadLetters{}
		mustRun(t, c.make(in, dead).RunOnce, 1)
		var keys []string
		for _, l := range dead.messages {
			keys = append(keys, l.DedupKey)
		}
		if !slices.Equal(keys, c.want) || in.left() != 0 {
			t.Errorf("%s: the dead letters are %v and %d messages are left; want %v and none", name, keys, in.left(), c.want)
		}
	}
}
