package server_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
)

// fakeCancelBackend is all dependencies of a Canceller, for one order. It records the calls.
type fakeCancelBackend struct {
	releaseErr, voidErr, durableErr error
	settleErr, unchargedErr         error
	voided                          bool // by VoidUncharged
	hot                             order.State
	hotErr                          error
	charge                          order.ChargeState
	was                             order.State
	cancelErrs                      []error // one a call; the last one stays
	calls                           []string
}

func (r *fakeCancelBackend) note(format string, args ...any) {
	r.calls = append(r.calls, fmt.Sprintf(format, args...))
}

func (r *fakeCancelBackend) Release(_ context.Context, _ order.ID, reason, _ string) (journal.Offset, error) {
	r.note("release %s", reason)
	return journal.Offset{}, r.releaseErr
}

func (r *fakeCancelBackend) Settle(_ context.Context, _ order.ID, chargeID, _ string) (journal.Offset, error) {
	r.note("settle %s", chargeID)
	return journal.Offset{}, r.settleErr
}

func (r *fakeCancelBackend) Find(context.Context, order.ID) (order.Charge, error) {
	r.note("find")
	return order.Charge{ChargeID: "ch", State: r.charge}, nil
}

func (r *fakeCancelBackend) HotOrder(context.Context, order.ID) (stock.HotOrder, error) {
	return stock.HotOrder{State: r.hot}, r.hotErr
}

func (r *fakeCancelBackend) VoidUncharged(context.Context, order.ID) (bool, error) {
	r.note("void uncharged")
	return r.voided, r.unchargedErr
}

func (r *fakeCancelBackend) Void(context.Context, order.ID) error {
	r.note("void")
	return r.voidErr
}

func (r *fakeCancelBackend) Cancel(_ context.Context, _ order.ID, from []order.State, reason order.CancelReason, actor string) (order.State, error) {
	r.note("cancel row %v %s as %s", from, reason, actor)
	err := r.cancelErrs[0]
	if len(r.cancelErrs) > 1 {
		r.cancelErrs = r.cancelErrs[1:]
	}
	return r.was, err
}

func (r *fakeCancelBackend) Publish(_ context.Context, changes []journal.Change) error {
	r.note("publish %s", changes[0].State)
	return nil
}

func (r *fakeCancelBackend) Wait(context.Context, journal.Offset, order.ID) error {
	return r.durableErr
}

// TestCanceller_StateDecidesBetweenRedisAndSQL: Redis while the order is pending, its row from then on; the money of a charge that was faster goes
// back in the caller's name.
func TestCanceller_StateDecidesBetweenRedisAndSQL(t *testing.T) {
	const released, voided, row = `release {"text":"why"}`, "void", "cancel row [PAID SHIP_FAILED] why as ann"
	gone, notYet := fmt.Errorf("no row: %w", order.ErrNotFound), fmt.Errorf("still pending: %w", order.ErrFailedPrecondition)
	for name, c := range map[string]struct {
		state   order.State
		backend fakeCancelBackend
		want    []string
		err     error
	}{
		"pending":                   {order.Pending, fakeCancelBackend{}, []string{voided, released}, nil},
		"pending, charged":          {order.Pending, fakeCancelBackend{voidErr: order.ErrFailedPrecondition, charge: order.ChargeSucceeded, cancelErrs: []error{nil}}, []string{voided, "find", "settle ch", row, "publish CANCELLED"}, nil},
		"pending, refunded":         {order.Pending, fakeCancelBackend{voidErr: order.ErrFailedPrecondition, charge: order.ChargeRefunded, cancelErrs: []error{nil}}, []string{voided, "find", row, "publish CANCELLED"}, nil},
		"pending, charged and lost": {order.Pending, fakeCancelBackend{voidErr: order.ErrFailedPrecondition, charge: order.ChargeSucceeded, settleErr: order.ErrNotFound, cancelErrs: []error{nil}}, []string{voided, "find", "settle ch", "cancel row [PENDING PAID SHIP_FAILED] why as ann", "publish CANCELLED"}, nil},
		"pending, payment is away":  {order.Pending, fakeCancelBackend{voidErr: order.ErrUnavailable}, []string{voided}, order.ErrUnavailable},
		"pending, SQL is away":      {order.Pending, fakeCancelBackend{durableErr: order.ErrUnavailable}, []string{voided, released}, order.ErrUnavailable},
		"pending, Redis is away":    {order.Pending, fakeCancelBackend{releaseErr: order.ErrUnavailable}, []string{voided, released}, order.ErrUnavailable},
		"pending, paid just now":    {order.Pending, fakeCancelBackend{releaseErr: order.ErrFailedPrecondition, cancelErrs: []error{nil}}, []string{voided, released, row, "publish CANCELLED"}, nil},
		"pending, Redis lost it":    {order.Pending, fakeCancelBackend{releaseErr: order.ErrNotFound, cancelErrs: []error{nil}}, []string{voided, released, "cancel row [PENDING PAID SHIP_FAILED] why as ann", "publish CANCELLED"}, nil},
		"paid":                      {order.Paid, fakeCancelBackend{cancelErrs: []error{nil}}, []string{row, "publish CANCELLED"}, nil},
		"paid, its row comes later": {order.Paid, fakeCancelBackend{was: order.Pending, cancelErrs: []error{gone, notYet, nil}}, []string{row, row, row, "publish CANCELLED"}, nil},
		"paid, at the carrier's":    {order.Paid, fakeCancelBackend{cancelErrs: []error{store.ErrBeingShipped}}, []string{row}, order.ErrUnavailable},
		"paid, shipped meanwhile":   {order.Paid, fakeCancelBackend{was: order.Shipped, cancelErrs: []error{order.ErrFailedPrecondition}}, []string{row}, order.ErrFailedPrecondition},
		"not shipped yet":           {order.ShipFailed, fakeCancelBackend{cancelErrs: []error{nil}}, []string{row, "publish CANCELLED"}, nil},
		"shipped":                   {order.Shipped, fakeCancelBackend{}, nil, order.ErrFailedPrecondition},
		"cancelled":                 {order.Cancelled, fakeCancelBackend{}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := &c.backend
			canceller := server.Canceller{Stock: r, Store: r, Payments: r, Changes: r, Durable: r, Log: slog.New(slog.DiscardHandler), Now: time.Now}
			o, err := canceller.Cancel(t.Context(), order.Order{ID: "O", State: c.state}, order.CancelReason{Text: "why"}, "ann")
			if !errors.Is(err, c.err) || (err == nil && o.State != order.Cancelled) {
				t.Errorf("it is %s (%v), want %v", o.State, err, c.err)
			}
			if !slices.Equal(r.calls, c.want) {
				t.Errorf("did\n  %s\nwant\n  %s", strings.Join(r.calls, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

// TestCanceller_LedgerIsTrustedWhilePendingInRedis: an order that was placed without a card needs no provider then. Otherwise SQL may have lost its payment.
func TestCanceller_LedgerIsTrustedWhilePendingInRedis(t *testing.T) {
	const uncharged, voided, released = "void uncharged", "void", `release {"text":"why"}`
	for name, c := range map[string]struct {
		backend fakeCancelBackend
		want    []string
	}{
		"no card was charged":       {fakeCancelBackend{voided: true}, []string{uncharged, released}},
		"a card may be charged":     {fakeCancelBackend{}, []string{uncharged, voided, released}},
		"paid in Redis":             {fakeCancelBackend{hot: order.Paid}, []string{voided, released}},
		"not in Redis any more":     {fakeCancelBackend{hotErr: order.ErrNotFound}, []string{voided, released}},
		"the ledger does not work":  {fakeCancelBackend{unchargedErr: order.ErrUnavailable}, []string{uncharged}},
		"Redis does not respond":    {fakeCancelBackend{hotErr: order.ErrUnavailable}, nil},
		"the ledger has its charge": {fakeCancelBackend{unchargedErr: order.ErrFailedPrecondition, cancelErrs: []error{nil}}, []string{uncharged, "find", "cancel row [PAID SHIP_FAILED] why as ann", "publish CANCELLED"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &c.backend
			canceller := server.Canceller{Stock: r, Store: r, Payments: r, Changes: r, Durable: r, Log: slog.New(slog.DiscardHandler), Now: time.Now}
			_, _ = canceller.Cancel(t.Context(), order.Order{ID: "O", ExpiresAt: time.Now()}, order.CancelReason{Text: "why"}, "ann")
			if !slices.Equal(r.calls, c.want) {
				t.Errorf("did\n  %s\nwant\n  %s", strings.Join(r.calls, "\n  "), strings.Join(c.want, "\n  "))
			}
		})
	}
}

// fakeSlowStore counts how many cancellations are in SQL at once.
type fakeSlowStore struct{ atOnce, most atomic.Int64 }

func (b *fakeSlowStore) Cancel(context.Context, order.ID, []order.State, order.CancelReason, string) (order.State, error) {
	b.most.Store(max(b.most.Load(), b.atOnce.Add(1)))
	defer b.atOnce.Add(-1)
	for range 100 {
		runtime.Gosched() // The others come meanwhile.
	}
	return order.Paid, nil
}

// TestCancel_ConcurrentCallersShareIt: one customer who cancels an order a thousand times at once takes one connection to SQL.
func TestCancel_ConcurrentCallersShareIt(t *testing.T) {
	book := &fakeSlowStore{}
	canceller := server.Canceller{Store: book, Changes: stubChanges{}, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if o, err := canceller.Cancel(t.Context(), order.Order{ID: "O", State: order.Paid}, order.CancelReason{Text: "why"}, "ann"); err != nil ||
				o.State != order.Cancelled {
				t.Errorf("it is %s (%v), want CANCELLED", o.State, err)
			}
		})
	}
	wg.Wait()
	if n := book.most.Load(); n != 1 {
		t.Errorf("%d cancellations of one order at once, want 1", n)
	}
}

// stubChanges publishes nothing.
type stubChanges struct{}

func (stubChanges) Publish(context.Context, []journal.Change) error { return nil }
