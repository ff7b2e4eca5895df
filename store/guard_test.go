package store_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// fakeBreaker is a breaker that refuses once it is blown, and remembers what it was told.
type fakeBreaker struct {
	permitErr error
	reported  []error
	timeout   time.Duration
}

func (f *fakeBreaker) Permit() error          { return f.permitErr }
func (f *fakeBreaker) Report(err error)       { f.reported = append(f.reported, err) }
func (f *fakeBreaker) Timeout() time.Duration { return f.timeout }

// calls is one of each repository, by name.
func calls(t *testing.T, db *store.DB) map[string]func(ctx context.Context) error {
	orders, charges := store.NewOrders(db), store.NewCharges(db)
	t.Cleanup(charges.Close)
	products, epochs := store.NewProducts(db), store.NewStock(db)
	dead, mails := store.NewDeadLetters(db), store.NewMails(db)
	id := order.NewID(0, at)
	return map[string]func(ctx context.Context) error{
		"Orders.Get":      func(ctx context.Context) error { _, err := orders.Get(ctx, id); return err },
		"Orders.States":   func(ctx context.Context) error { _, err := orders.States(ctx, []order.ID{id}); return err },
		"Orders.Shipment": func(ctx context.Context) error { _, err := orders.Shipment(ctx, id); return err },
		"Orders.Apply": func(ctx context.Context) error {
			_, err := orders.Apply(ctx, []order.Event{change(anOrder("k"), order.Paid)})
			return err
		},
		"Orders.UnitsTaken": func(ctx context.Context) error { _, err := orders.UnitsTaken(ctx, "A"); return err },
		"Charges.Get":       func(ctx context.Context) error { _, err := charges.Get(ctx, id); return err },
		"Charges.NextAttempt": func(ctx context.Context) error {
			_, err := charges.NextAttempt(ctx, order.Charge{OrderID: id}, "c")
			return err
		},
		"Charges.Orphans":   func(ctx context.Context) error { _, err := charges.Orphans(ctx, at, 1); return err },
		"Products.Get":      func(ctx context.Context) error { _, err := products.Get(ctx, "A"); return err },
		"Products.List":     func(ctx context.Context) error { _, err := products.List(ctx, "", 1); return err },
		"Products.ListAll":  func(ctx context.Context) error { _, err := products.ListAll(ctx, "", 1); return err },
		"Products.Update":   func(ctx context.Context) error { return products.Update(ctx, store.Product{SKU: "A"}, nil) },
		"Stock.OpenEpoch":   func(ctx context.Context) error { _, err := epochs.OpenEpoch(ctx, 0); return err },
		"Stock.EpochAt":     func(ctx context.Context) error { _, err := epochs.EpochAt(ctx, 0, 1); return err },
		"Stock.Snapshot":    func(ctx context.Context) error { _, _, err := epochs.Snapshot(ctx, 0, nil); return err },
		"Stock.Prune":       func(ctx context.Context) error { return epochs.PruneDedupLog(ctx, 0, 1) },
		"Stock.FindAdjust":  func(ctx context.Context) error { _, err := epochs.FindAdjustment(ctx, "a"); return err },
		"DeadLetters.List":  func(ctx context.Context) error { _, err := dead.List(ctx, store.DeadLetterFilter{}, 0, 1); return err },
		"DeadLetters.Get":   func(ctx context.Context) error { _, err := dead.Get(ctx, 1); return err },
		"DeadLetters.Edit":  func(ctx context.Context) error { return dead.Edit(ctx, 1, nil, "", store.DeadLetterAction{}) },
		"DeadLetters.Close": func(ctx context.Context) error { return dead.Discard(ctx, 1, store.DeadLetterAction{}) },
		"DeadLetters.Note":  func(ctx context.Context) error { return dead.NoteFailure(ctx, 1, store.DeadLetterAction{}) },
		"Stock.ReplayEntry": func(ctx context.Context) error {
			_, _, err := epochs.ReplayEntry(ctx, store.DeadLetter{ID: 1}, store.Range{}, false, store.DeadLetterAction{})
			return err
		},
		"Mails.Sent": func(ctx context.Context) error {
			_, err := mails.Sent(ctx, []order.MailID{{OrderID: id, Kind: "k"}})
			return err
		},
		"Mails.MarkSent": func(ctx context.Context) error {
			return mails.MarkSent(ctx, []order.SentMail{{MailID: order.MailID{OrderID: id, Kind: "k"}}})
		},
	}
}

func TestGuard_OpenBreakerRefusesEveryCall(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		f := &fakeBreaker{permitErr: order.ErrUnavailable, timeout: time.Minute}
		db.Guard(f)
		for name, call := range calls(t, db) {
			if err := call(t.Context()); !errors.Is(err, order.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(f.reported) > 0 {
			t.Errorf("reported %v of calls that were not made", f.reported)
		}
	})
}

func TestGuard_SQLErrorsAreNoFailures(t *testing.T) {
	onBoth(t, func(t *testing.T, db *store.DB) {
		f := &fakeBreaker{timeout: time.Minute}
		db.Guard(f)
		every := calls(t, db)
		for name, call := range every {
			if err := call(t.Context()); errors.Is(err, order.ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, err := range f.reported {
			if err != nil {
				t.Errorf("reported %v", err)
			}
		}
		if len(f.reported) != len(every) {
			t.Errorf("%d reports of %d calls: one nests another, or passes the breaker by", len(f.reported), len(every))
		}
	})
}

// TestASilentServerIsReported: the sockets are open without a response, which is the case that breakers are for.
func TestASilentServerIsReported(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	db, err := store.OpenUnchecked("root@tcp(" + l.Addr().String() + ")/shop")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	f := &fakeBreaker{timeout: 100 * time.Millisecond}
	db.Guard(f)
	if _, err := store.NewOrders(db).Get(t.Context(), order.NewID(0, at)); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("a silent server: %v", err)
	}
	if len(f.reported) != 1 || f.reported[0] == nil {
		t.Errorf("reported %v", f.reported)
	}
	// A caller that leaves is no failure of the server.
	f.timeout = time.Minute
	for begun := len(f.reported); len(f.reported) == begun; { // On a busy machine a caller may leave before its call.
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		_, _ = store.NewOrders(db).Get(ctx, order.NewID(0, at))
		cancel()
	}
	if last := f.reported[len(f.reported)-1]; !errors.Is(last, breaker.ErrCallerLeft) {
		t.Errorf("of a caller that left, %v was reported", last)
	}
}
