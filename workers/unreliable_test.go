package workers_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
)

const (
	// unreliableOrders are placed through an unreliable queue, each in a message of its own at least.
	unreliableOrders = 400
	// unreliableUnits of each product are more than they take.
	unreliableUnits = 4 * unreliableOrders
	// corruptNth: every hundredth message is corrupt.
	corruptNth = 100
	// maxDisorder is the longest delay of a delivery. It is to soon, after which orders are repaired, what ten minutes are
	// to the minute of a real shop.
	maxDisorder = 10 * soon
	// maxLease replaces the workers' leases, which are longer than a test may wait.
	maxLease = time.Second
)

// fakeUnreliableConsumer delivers each message after a random delay, so that they arrive in any order, a third of them twice, and every
// hundredth with one bit that is not as it was sent.
type fakeUnreliableConsumer struct {
	queue.Consumer

	mu      sync.Mutex
	rng     *rand.Rand
	seen    int
	corrupt map[string]bool // ids
	waiting []delivery
	// leased are the deliveries under way, by message id.
	leased map[string][]delivery
}

type delivery struct {
	queue.Message
	at time.Time // when it is due, or its lease ends
}

// Receive returns what is due, and takes what the broker has if nothing is.
func (f *fakeUnreliableConsumer) Receive(ctx context.Context, max int, lease time.Duration) ([]queue.Message, error) {
	if due := f.due(max, lease); len(due) > 0 {
		return due, nil
	}
	fresh, err := f.Consumer.Receive(ctx, max, lease)
	if err != nil {
		return nil, err
	}
	if err := f.Consumer.Ack(ctx, fresh...); err != nil {
		return nil, err
	}
	f.take(fresh)
	return f.due(max, lease), nil
}

// due leases those deliveries whose time has come.
func (f *fakeUnreliableConsumer) due(max int, lease time.Duration) (out []queue.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for id, deliveries := range f.leased {
		for _, d := range deliveries {
			if d.at.Before(now) {
				d.Attempt++
				f.waiting = append(f.waiting, d)
			}
		}
		f.leased[id] = slices.DeleteFunc(deliveries, func(d delivery) bool { return d.at.Before(now) })
	}
	f.waiting = slices.DeleteFunc(f.waiting, func(d delivery) bool {
		if len(out) == max || d.at.After(now) {
			return false
		}
		out = append(out, d.Message)
		f.leased[d.ID] = append(f.leased[d.ID], delivery{d.Message, now.Add(min(lease, maxLease))})
		return true
	})
	return out
}

// take decides what happens to the messages. Half of the deliveries are not delayed.
func (f *fakeUnreliableConsumer) take(messages []queue.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range messages {
		if f.seen++; f.seen%corruptNth == 0 {
			f.corrupt[m.ID] = true
			m.Body = bytes.Clone(m.Body)
			m.Body[f.rng.IntN(len(m.Body))] ^= 1 << f.rng.IntN(8)
		}
		for range 1 + f.rng.IntN(3)/2 {
			delay := max(0, f.rng.Int64N(2*int64(maxDisorder))-int64(maxDisorder))
			f.waiting = append(f.waiting, delivery{m, time.Now().Add(time.Duration(delay))})
		}
	}
}

// Ack ends one delivery of each message.
func (f *fakeUnreliableConsumer) Ack(_ context.Context, messages ...queue.Message) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range messages {
		if n := len(f.leased[m.ID]); n > 0 {
			f.leased[m.ID] = f.leased[m.ID][:n-1]
		}
	}
	return nil
}

// Release lets the leases expire.
func (f *fakeUnreliableConsumer) Release(context.Context, ...queue.Message) error { return nil }

// counts returns the numbers of messages, of corrupt ones, and of deliveries that are not done.
func (f *fakeUnreliableConsumer) counts() (seen, corrupt, left int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.leased {
		left += len(d)
	}
	return f.seen, len(f.corrupt), left + len(f.waiting)
}

// fakeRecipients are a carrier and a mail server that notice orders which nobody placed like that.
type fakeRecipients struct {
	mails fakeMailSender

	mu     sync.Mutex
	placed map[order.ID]order.Order
	wrong  []string
}

func (f *fakeRecipients) check(o order.Order) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if want, ok := f.placed[o.ID]; !ok || !samePurchase(o, want) {
		f.wrong = append(f.wrong, fmt.Sprintf("%+v; want %+v", o, want))
	}
}

// samePurchase compares what the customer decided.
func samePurchase(a, b order.Order) bool {
	return a.CustomerID == b.CustomerID && a.Email == b.Email && a.Currency == b.Currency && a.Total == b.Total && a.Address == b.Address &&
		reflect.DeepEqual(a.Lines, b.Lines)
}

func (f *fakeRecipients) Ship(_ context.Context, o order.Order) error {
	f.check(o)
	return nil
}

func (f *fakeRecipients) Send(ctx context.Context, mails []order.Mail) []error {
	for _, m := range mails {
		f.check(m.Order)
	}
	return f.mails.Send(ctx, mails)
}

// TestQueue_DelaysDuplicatesAndCorrupts: order events arrive in any order, late, twice, and 1 % of the messages with a wrong bit. Each order
// reaches its final state as it was placed, with its mails; corrupt messages are dead letters, and what they carried is repaired
// (I5, I8, I10).
func TestQueue_DelaysDuplicatesAndCorrupts(t *testing.T) {
	for _, durability := range []string{"journal", "sql"} {
		t.Run("durability "+durability, func(t *testing.T) {
			t.Parallel()
			db := openDB(t, realparts.MySQL(t))
			if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
				t.Fatalf("migrate: %v", err)
			}
			s := openShop(t, db)
			s.restock(t, unreliableUnits)
			runUnreliable(t, s, durability == "sql")
		})
	}
}

func runUnreliable(t *testing.T, s *shop, sqlDurable bool) {
	b := openQueue(t, s)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	groups := []string{"orders", "shipping", "mail"}
	in := map[string]*fakeUnreliableConsumer{}
	for i, g := range groups {
		in[g] = &fakeUnreliableConsumer{
			Consumer: consumer(t, b, g), rng: rand.New(rand.NewPCG(seed, uint64(i))), corrupt: map[string]bool{}, leased: map[string][]delivery{},
		}
	}
	producer, err := b.Producer()
	if err != nil {
		t.Fatal(err)
	}
	to := &fakeRecipients{mails: fakeMailSender{store.NewMails(s.db)}, placed: map[order.ID]order.Order{}}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, run := range s.everyWorker(producer, func(g string) queue.Consumer { return in[g] }, to, to, sqlDurable) {
		wg.Go(func() { run(ctx) })
	}
	want := s.placeOrders(t, unreliableOrders, func(o order.Order) {
		to.mu.Lock()
		defer to.mu.Unlock()
		to.placed[o.ID] = o
	})
	ended := s.ended(want)
	within(t, 20*patience, "all orders to come to their end with their mails, and all messages to be delivered", func() bool {
		for _, c := range in {
			if _, _, left := c.counts(); left > 0 {
				return false
			}
		}
		return ended(t)
	})
	stop()
	wg.Wait()
	s.wantPlacedOrders(t, to)
	s.wantCorruptDeadLetters(t, in)
	report, err := audit.Run(t.Context(), store.NewAudits(s.db), audit.Options{Drained: true})
	if err != nil || !report.OK {
		t.Errorf("the audit found %+v, %v", report.Violations, err)
	}
}

// wantPlacedOrders compares the rows, parcels and mails with what was placed.
func (s *shop) wantPlacedOrders(t *testing.T, to *fakeRecipients) {
	t.Helper()
	for _, w := range to.wrong[:min(len(to.wrong), 3)] {
		t.Errorf("a parcel or mail is of %s", w)
	}
	for id, want := range to.placed {
		got, err := s.orders.Get(t.Context(), id)
		if err != nil || !samePurchase(got, want) || got.IdempotencyKey != want.IdempotencyKey || !got.CreatedAt.Equal(want.CreatedAt) {
			t.Errorf("a row is %+v, %v; want %+v", got, err, want)
		}
	}
}

// wantCorruptDeadLetters checks that each corrupt message is one dead letter of its group's worker, and nothing else is.
func (s *shop) wantCorruptDeadLetters(t *testing.T, in map[string]*fakeUnreliableConsumer) {
	t.Helper()
	for group, source := range map[string]string{"orders": "order_writer", "shipping": "shipper", "mail": "mailer"} {
		seen, corrupt, _ := in[group].counts()
		found, err := s.dead.List(t.Context(), store.DeadLetterFilter{Source: source}, 0, 100)
		if err != nil || len(found) != corrupt || corrupt < unreliableOrders/2/corruptNth {
			t.Errorf("%s: %d dead letters, %v; want one for each of %d corrupt messages of %d", source, len(found), err, corrupt, seen)
		}
	}
}
