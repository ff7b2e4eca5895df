package workers_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
	"github.com/spillway/spillway/workers"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// replayFixture are the dependencies of a replayer: the tables on SQLite, and fakes that record the calls.
type replayFixture struct {
	db     *store.DB
	dead   *store.DeadLetters
	orders *store.Orders
	stock  *store.Stock
	*workers.Replayer

	mu        sync.Mutex
	mails     []string
	mailErr   error
	cancelled []order.ID
	forgotten []order.SKU
	expired   map[order.ID]order.State
	hot       stubSnapshots
}

func (a *replayFixture) Send(_ context.Context, mails []order.Mail) []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	errs := make([]error, len(mails))
	for i, m := range mails {
		a.mails = append(a.mails, string(m.Kind))
		errs[i] = a.mailErr
	}
	return errs
}

func (a *replayFixture) CancelDuplicate(_ context.Context, id, _ order.ID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cancelled = append(a.cancelled, id)
	return nil
}

func (a *replayFixture) DropCounters(_ context.Context, skus []order.SKU) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgotten = append(a.forgotten, skus...)
	return nil
}

func (a *replayFixture) Expire(_ context.Context, states map[order.ID]order.State) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expired = states
	return nil
}

func newReplayer(t *testing.T) *replayFixture {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := store.NewMigrator(db).Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	price := order.Money{Currency: "EUR", Amount: 150}
	if err := store.NewProducts(db).Create(t.Context(), store.Product{SKU: "A", Name: "a", Price: price, Stock: 10, Categories: []string{}}, "test"); err != nil {
		t.Fatal(err)
	}
	a := &replayFixture{db: db, dead: store.NewDeadLetters(db), orders: store.NewOrders(db), stock: store.NewStock(db), hot: stubSnapshots{}}
	a.Replayer = workers.NewReplayer(workers.ReplayParts{
		DeadLetters: a.dead, Entries: a.stock, Orders: a.orders, Cancel: a, Hot: a, Counters: a, Mail: a, Snapshots: workers.SnapshotSources{Hot: a.hot, Rows: a.orders}, Log: slog.New(slog.DiscardHandler),
	})
	return a
}

func someOrder(t *testing.T, key string) order.Order {
	t.Helper()
	o := order.Order{
		ID: order.NewID(0, noon), CustomerID: "c", Currency: "EUR", Email: "a@example.com", TrackingID: "T", IdempotencyKey: key,
		Fingerprint: []byte{1}, Lines: []order.Line{{SKU: "A", Name: "a", Quantity: 3, UnitPrice: 150}}, CreatedAt: noon, UpdatedAt: noon,
		Address: order.Address{Name: "N", Street: "S", City: "C", PostalCode: "P", CountryCode: "DE"},
	}
	if err := o.Price(499); err != nil {
		t.Fatal(err)
	}
	return o
}

func step(t *testing.T, o order.Order, to order.State) *spillwayv1.OrderEvent {
	t.Helper()
	m, err := wire.ToEvent(order.Event{Order: o, To: to, At: noon})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func raw(t *testing.T, m proto.Message) []byte {
	t.Helper()
	out, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func batch(events ...*spillwayv1.OrderEvent) *spillwayv1.OrderEventBatch {
	return &spillwayv1.OrderEventBatch{Events: events}
}

// entry is a journal entry of which the flusher made a dead letter.
func entry(t *testing.T, o order.Order, units int64) []byte {
	t.Helper()
	snapshot, err := wire.MarshalSnapshot(o)
	if err != nil {
		t.Fatal(err)
	}
	out, err := journal.MarshalDeadLetter(journal.Entry{
		ID: "1-0", Kind: journal.Reserved, OrderID: o.ID, Deltas: []order.Delta{{SKU: "A", Units: units}}, Snapshot: snapshot, Time: noon,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// put writes a dead letter and returns its id.
func (a *replayFixture) put(t *testing.T, source, typ string, payload []byte) int64 {
	t.Helper()
	f := store.DeadLetter{
		DedupKey:    fmt.Sprintf("%s/%x", source, payload[:min(40, len(payload))]),
		Source:      source,
		Reason:      "why",
		PayloadType: typ,
		Payload:     payload,
	}
	if err := a.dead.Put(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	found, err := a.dead.List(t.Context(), store.DeadLetterFilter{}, 0, 1)
	if err != nil || len(found) != 1 {
		t.Fatalf("list: %v, %v", found, err)
	}
	return found[0].ID
}

func (a *replayFixture) want(t *testing.T, id int64, status string, actions ...string) {
	t.Helper()
	f, err := a.dead.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range f.History {
		got = append(got, h.Action+" by "+h.Actor)
	}
	if f.Status != status || fmt.Sprint(got) != fmt.Sprint(actions) {
		t.Errorf("dead letter %d is %s after %v; want %s after %v", id, f.Status, got, status, actions)
	}
}

func (a *replayFixture) units(t *testing.T) int64 {
	t.Helper()
	p, err := store.NewProducts(a.db).Get(t.Context(), "A")
	if err != nil {
		t.Fatal(err)
	}
	return p.Stock
}

// TestReplayer_EachSource, twice and then by many at once: the second time changes nothing.
func TestReplayer_EachSource(t *testing.T) {
	const row, refundID = "row", "01ARZ3NDEKTSV4RRFFQ69G5FAV"
	for name, c := range map[string]struct {
		source, typ string
		payload     func(t *testing.T, o order.Order) []byte
		want        string
	}{
		"an event of the order writer": {"order_writer", wire.TypeEvent, func(t *testing.T, o order.Order) []byte { return raw(t, step(t, o, order.Paid)) }, row},
		"a message of the order writer": {"order_writer", wire.TypeBatch, func(t *testing.T, o order.Order) []byte {
			return raw(t, batch(step(t, o, order.Pending), step(t, o, order.Paid)))
		}, row},
		"what the broker gave up":        {"broker/orders", wire.TypeBatch, func(t *testing.T, o order.Order) []byte { return raw(t, batch(step(t, o, order.Paid))) }, row},
		"an event of the shipper":        {"shipper", wire.TypeEvent, func(t *testing.T, o order.Order) []byte { return raw(t, step(t, o, order.Paid)) }, row},
		"a journal entry":                {"stock_flusher", journal.DeadLetterType, func(t *testing.T, o order.Order) []byte { return entry(t, o, -3) }, row + " and stock"},
		"an event of the mailer":         {"mailer", wire.TypeEvent, func(t *testing.T, o order.Order) []byte { return raw(t, step(t, o, order.Paid)) }, "confirmation"},
		"mails that the broker gave up":  {"broker/mail", wire.TypeBatch, func(t *testing.T, o order.Order) []byte { return raw(t, batch(step(t, o, order.Paid))) }, "confirmation"},
		"a reservation asks for no mail": {"mailer", wire.TypeEvent, func(t *testing.T, o order.Order) []byte { return raw(t, step(t, o, order.Pending)) }, ""},
		"a confirmation": {"mailer", wire.TypeSnapshot, func(t *testing.T, o order.Order) []byte {
			o.State = order.Paid
			b, err := wire.MarshalSnapshot(o)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}, "confirmation"},
		"a mail of a cancellation": {"mailer", wire.TypeMail, func(t *testing.T, o order.Order) []byte {
			return raw(t, wire.MailRequest(order.Mail{Kind: order.MailCancelled, Order: o}))
		}, "cancelled"},
		"a mail of a refund": {"mailer", wire.TypeMail, func(t *testing.T, o order.Order) []byte {
			return raw(t, wire.MailRequest(order.Mail{Kind: order.RefundMail(refundID), Order: o, Refund: order.Money{Currency: "EUR", Amount: 1}}))
		}, "refund" + refundID},
		"a mail of a version with an RPC for each kind": {"mailer", wire.TypeOf(&spillwayv1.SendOrderRefundedRequest{}), func(t *testing.T, o order.Order) []byte {
			return raw(t, &spillwayv1.SendOrderRefundedRequest{Order: wire.Order(o), RefundId: refundID, Refund: wire.Money(order.Money{Currency: "EUR", Amount: 1})})
		}, "refund" + refundID},
	} {
		t.Run(name, func(t *testing.T) {
			a, o := newReplayer(t), someOrder(t, name)
			id := a.put(t, c.source, c.typ, c.payload(t, o))
			for range 2 {
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						if err := a.Replay(t.Context(), id, "op"); err != nil {
							t.Errorf("replay: %v", err)
						}
					})
				}
				wg.Wait()
			}
			a.want(t, id, store.DeadLetterReplayed, "replayed by op")
			var got []string
			if found, err := a.orders.Get(t.Context(), o.ID); err == nil && found.State != order.Cancelled {
				got = append(got, row)
			}
			if n := a.units(t); n == 7 {
				got = append(got, "stock")
			} else if n != 10 {
				t.Errorf("the stock is %d", n)
			}
			if got = append(got, a.mails...); strings.Join(got, " and ") != c.want {
				t.Errorf("it did %q; want %q", strings.Join(got, " and "), c.want)
			}
		})
	}
}

// TestReplayer_FailedReplayLeavesTheDeadLetterOpen, and the operator and its history get the cause.
func TestReplayer_FailedReplayLeavesTheDeadLetterOpen(t *testing.T) {
	a, o := newReplayer(t), someOrder(t, "k")
	bought := someOrder(t, "bought")
	if _, err := a.orders.Apply(t.Context(), []order.Event{{Order: bought, To: order.Paid, At: noon}}); err != nil {
		t.Fatal(err)
	}
	tooLong := someOrder(t, "long")
	tooLong.Total++ // SQL checks the sum.
	a.mailErr = fmt.Errorf("no such mailbox: %w", order.ErrInvalid)
	for name, c := range map[string]struct {
		source, typ string
		payload     []byte
		says        string
	}{
		"what cannot be read":          {"order_writer", wire.TypeBatch, []byte("garbage"), "unmarshal"},
		"a row that SQL refuses":       {"order_writer", wire.TypeEvent, raw(t, step(t, tooLong, order.Paid)), "insert"},
		"more than there is":           {"stock_flusher", journal.DeadLetterType, entry(t, o, -11), "stock"},
		"a state that is not allowed":  {"order_writer", wire.TypeEvent, raw(t, step(t, bought, order.Cancelled)), "CANCELLED"},
		"a mail that nobody takes":     {"mailer", wire.TypeEvent, raw(t, step(t, o, order.Paid)), "no such mailbox"},
		"a type that nobody can apply": {"order_writer", "colour", []byte("x"), "colour"},
	} {
		id := a.put(t, c.source, c.typ, c.payload)
		err := a.Replay(t.Context(), id, "op")
		if !errors.Is(err, order.ErrFailedPrecondition) || errors.Is(err, order.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want ErrFailedPrecondition that says %q", name, err, c.says)
		}
		a.want(t, id, store.DeadLetterOpen, "replay_failed by op")
	}
	if n := a.units(t); n != 10 {
		t.Errorf("the stock is %d", n)
	}
	a.mailErr = order.ErrUnavailable
	id := a.put(t, "mailer", wire.TypeSnapshot, raw(t, &spillwayv1.OrderSnapshot{Order: wire.Order(paidOf(o))}))
	if err := a.Replay(t.Context(), id, "op"); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("while the mail server is away: %v; want ErrUnavailable", err)
	}
	a.mailErr = nil
	if err := a.Replay(t.Context(), id, "op2"); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	a.want(t, id, store.DeadLetterReplayed, "replay_failed by op", "replayed by op2")
}

func paidOf(o order.Order) order.Order {
	o.State = order.Paid
	return o
}

// TestReplayer_PoisonEventOfABatch: the others are written.
func TestReplayer_PoisonEventOfABatch(t *testing.T) {
	a, good, bad := newReplayer(t), someOrder(t, "good"), someOrder(t, "bad")
	bad.Total++
	id := a.put(t, "broker/orders", wire.TypeBatch, raw(t, batch(step(t, bad, order.Paid), step(t, good, order.Paid))))
	if err := a.Replay(t.Context(), id, "op"); !errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("replay: %v; want ErrFailedPrecondition", err)
	}
	if o, err := a.orders.Get(t.Context(), good.ID); err != nil || o.State != order.Paid {
		t.Errorf("the good one is %v, %v", o.State, err)
	}
	a.want(t, id, store.DeadLetterOpen, "replay_failed by op")
}

// TestReplayer_DuplicateIsUndone, from an event and from the journal.
func TestReplayer_DuplicateIsUndone(t *testing.T) {
	a, first, second, third := newReplayer(t), someOrder(t, "same"), someOrder(t, "same"), someOrder(t, "same")
	if _, err := a.orders.Apply(t.Context(), []order.Event{{Order: first, To: order.Paid, At: noon}}); err != nil {
		t.Fatal(err)
	}
	for o, id := range map[order.ID]int64{
		second.ID: a.put(t, "order_writer", wire.TypeEvent, raw(t, step(t, second, order.Paid))),
		third.ID:  a.put(t, "stock_flusher", journal.DeadLetterType, entry(t, third, -3)),
	} {
		a.cancelled = nil
		if err := a.Replay(t.Context(), id, "op"); err != nil {
			t.Errorf("replay: %v", err)
		}
		a.want(t, id, store.DeadLetterReplayed, "replayed by op")
		if len(a.cancelled) != 1 || a.cancelled[0] != o {
			t.Errorf("undone: %v; want %s", a.cancelled, o)
		}
	}
	if n := a.units(t); n != 7 {
		t.Errorf("the stock is %d; want 7: what the entry took goes back by another entry", n)
	}
}

func TestReplayer_ClosedDeadLetter(t *testing.T) {
	a, o := newReplayer(t), someOrder(t, "k")
	if err := a.Replay(t.Context(), 77, "op"); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("an unknown dead letter: %v; want ErrNotFound", err)
	}
	id := a.put(t, "order_writer", wire.TypeEvent, raw(t, step(t, o, order.Paid)))
	if err := a.dead.Discard(t.Context(), id, store.DeadLetterAction{Actor: "op"}); err != nil {
		t.Fatal(err)
	}
	if err := a.Replay(t.Context(), id, "op"); !errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("a discarded dead letter: %v; want ErrFailedPrecondition", err)
	}
	if _, err := a.orders.Get(t.Context(), o.ID); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("the order of a discarded dead letter: %v; want ErrNotFound", err)
	}
}

// TestReplayer_Check: a dry run finds what cannot be read, and changes nothing.
func TestReplayer_Check(t *testing.T) {
	a, o := newReplayer(t), someOrder(t, "k")
	good, bad := a.put(t, "order_writer", wire.TypeEvent, raw(t, step(t, o, order.Paid))), a.put(t, "order_writer", wire.TypeEvent, []byte("\xff"))
	if err := a.Check(t.Context(), good); err != nil {
		t.Errorf("one that can be replayed: %v", err)
	}
	if err := a.Check(t.Context(), bad); !errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("one that cannot be read: %v; want ErrFailedPrecondition", err)
	}
	if err := a.Check(t.Context(), 77); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("an unknown one: %v; want ErrNotFound", err)
	}
	if _, err := a.orders.Get(t.Context(), o.ID); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("the order after a check: %v; want ErrNotFound", err)
	}
	if err := a.ReplayNoted(t.Context(), good, "op", "it works now"); err != nil {
		t.Fatal(err)
	}
	if l, err := a.dead.Get(t.Context(), good); err != nil || len(l.History) != 1 || l.History[0].Detail != "it works now" {
		t.Errorf("the history is %+v, %v; want the note", l.History, err)
	}
	if err := a.Check(t.Context(), good); !errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("one that was replayed: %v; want ErrFailedPrecondition", err)
	}
}
