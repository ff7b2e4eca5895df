package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

// watchWait is how long a test waits for what is bound to happen.
const watchWait = 30 * time.Second

// fakeWatchedOrder is a customer's order in both parts, which a test changes while it is watched.
type fakeWatchedOrder struct {
	mu   sync.Mutex
	o    order.Order
	err  error // of every reading
	gone bool
}

func (watched *fakeWatchedOrder) become(state order.State) {
	watched.mu.Lock()
	defer watched.mu.Unlock()
	watched.o.State, watched.o.UpdatedAt = state, time.Now().UTC()
}

func (watched *fakeWatchedOrder) set(change func(*fakeWatchedOrder)) {
	watched.mu.Lock()
	defer watched.mu.Unlock()
	change(watched)
}

func (watched *fakeWatchedOrder) parts() (stubHotOrders, stubRows) {
	watched.mu.Lock()
	defer watched.mu.Unlock()
	if watched.gone {
		return stubHotOrders{err: watched.err}, stubRows{err: watched.err}
	}
	return stubHotOrders{err: watched.err}, stubRows{orders: []order.Order{watched.o}, err: watched.err}
}

// fakeWatchedRows are the rows as the readers want them.
type fakeWatchedRows struct {
	stubRows
	watched *fakeWatchedOrder
}

func (r fakeWatchedRows) Get(ctx context.Context, id order.ID) (order.Order, error) {
	_, sql := r.watched.parts()
	return sql.Get(ctx, id)
}

func (r fakeWatchedRows) States(_ context.Context, ids []order.ID) (map[order.ID]order.State, error) {
	_, sql := r.watched.parts()
	out := map[order.ID]order.State{}
	for _, id := range ids {
		for _, o := range sql.orders {
			if o.ID == id {
				out[id] = o.State
			}
		}
	}
	return out, sql.err
}

// fakeFeed is a Feed that a test fills.
type fakeFeed struct {
	changed chan order.ID
	failing chan error
	missed  chan struct{}
	resets  chan struct{}
}

func newFakeFeed() *fakeFeed {
	return &fakeFeed{changed: make(chan order.ID), failing: make(chan error), missed: make(chan struct{}), resets: make(chan struct{}, 100)}
}

func (f *fakeFeed) Next(ctx context.Context) ([]order.ID, bool, error) {
	select {
	case id := <-f.changed:
		return []order.ID{id}, false, nil
	case err := <-f.failing:
		return nil, true, err
	case <-f.missed:
		return nil, true, nil
	case <-ctx.Done():
		return nil, true, ctx.Err()
	}
}

func (f *fakeFeed) Reset() {
	select {
	case f.resets <- struct{}{}:
	default:
	}
}

// tell hands the feed something, which it takes only while the hub reads it.
func feedTo[T any](t *testing.T, c chan T, what T) {
	t.Helper()
	select {
	case c <- what:
	case <-time.After(watchWait):
		t.Fatal("the hub does not read its feed")
	}
}

// startHub runs a hub over the ledger until the test ends. It resyncs hardly ever unless the test sets an interval.
func startHub(t *testing.T, watched *fakeWatchedOrder, change ...func(*HubConfig)) (*Hub, *fakeFeed, context.CancelFunc) {
	t.Helper()
	cfg := DefaultHubConfig()
	cfg.ResyncInterval = time.Hour
	for _, c := range change {
		c(&cfg)
	}
	f := newFakeFeed()
	h := NewHub(cfg, f, stubHotOrders{}, fakeWatchedRows{watched: watched}, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return h, f, stop
}

func mustWatch(t *testing.T, h *Hub, customer order.CustomerID, id order.ID, seen order.State) *Watcher {
	t.Helper()
	w, err := h.Watch(customer, netip.Addr{}, id, seen)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *Watcher) wantWoken(t *testing.T, why string) {
	t.Helper()
	select {
	case <-w.wake:
	case <-time.After(watchWait):
		t.Fatalf("not woken: %s", why)
	}
}

func (w *Watcher) wantAsleep(t *testing.T, why string) {
	t.Helper()
	select {
	case <-w.wake:
		t.Errorf("woken: %s", why)
	default:
	}
}

func TestHub_WakesWatchersOfChangedOrders(t *testing.T) {
	watched := &fakeWatchedOrder{o: orderOf("me", order.Paid, 0)}
	h, f, _ := startHub(t, watched)
	one, two := mustWatch(t, h, "me", watched.o.ID, order.Paid), mustWatch(t, h, "me", watched.o.ID, order.Paid)
	other := mustWatch(t, h, "me", newID(), order.Paid)
	feedTo(t, f.changed, watched.o.ID)
	one.wantWoken(t, "its order changed")
	two.wantWoken(t, "its order changed")
	for range 3 { // a slow watcher delays no other
		feedTo(t, f.changed, watched.o.ID)
	}
	feedTo(t, f.changed, newID())
	one.wantWoken(t, "its order changed three times")
	one.wantAsleep(t, "three changes are one reading")
	other.wantAsleep(t, "another order changed")
	two.Close()
	one.Close()
	other.Close()
	if len(h.watchers) != 0 || len(h.of) != 0 || h.count != 0 {
		t.Errorf("left behind: %v, %v, %d", h.watchers, h.of, h.count)
	}
}

// TestHub_ResyncWakesWatchersThatMissedAChange: what the feed lost is found by comparing, and only what is news wakes anybody.
func TestHub_ResyncWakesWatchersThatMissedAChange(t *testing.T) {
	watched := &fakeWatchedOrder{o: orderOf("me", order.Shipped, 0)}
	for name, c := range map[string]struct {
		every   time.Duration
		trouble func(f *fakeFeed)
	}{
		"now and then":     {10 * time.Millisecond, func(*fakeFeed) {}},
		"after a loss":     {time.Hour, func(f *fakeFeed) { feedTo(t, f.missed, struct{}{}) }},
		"after an error":   {time.Hour, func(f *fakeFeed) { feedTo(t, f.failing, errors.New("no route")); feedTo(t, f.missed, struct{}{}) }},
		"in another epoch": {time.Hour, func(f *fakeFeed) { feedTo(t, f.missed, struct{}{}); feedTo(t, f.changed, "another") }},
	} {
		t.Run(name, func(t *testing.T) {
			h, f, _ := startHub(t, watched, func(cfg *HubConfig) { cfg.ResyncInterval = c.every })
			behind, lost := mustWatch(t, h, "me", watched.o.ID, order.Paid), mustWatch(t, h, "me", newID(), order.Paid)
			uptodate := mustWatch(t, h, "me", watched.o.ID, order.Shipped)
			defer behind.Close()
			defer lost.Close()
			defer uptodate.Close()
			c.trouble(f)
			behind.wantWoken(t, "SQL knows more than it saw")
			lost.wantWoken(t, "its order is nowhere")
			uptodate.wantAsleep(t, "it has seen everything")
		})
	}
}

func TestHub_EarlierStateWakesNoWatcher(t *testing.T) {
	for _, c := range []struct {
		seen, now order.State
		news      bool
	}{
		{unseen, order.Pending, true},
		{unseen, order.Shipped, true},
		{order.Pending, order.Pending, false},
		{order.Pending, order.Paid, true},
		{order.Pending, order.Shipped, true},
		{order.Paid, order.Pending, false},
		{order.ShipFailed, order.Paid, false},
		{order.ShipFailed, order.Cancelled, true},
		{order.Cancelled, order.Shipped, false},
	} {
		if got := isNewer(c.seen, c.now); got != c.news {
			t.Errorf("seen %v, now %v: news %v", c.seen, c.now, got)
		}
	}
}

// TestHub_WatchersOfAnAddress: many customers of one address leave room for those of others.
func TestHub_WatchersOfAnAddress(t *testing.T) {
	watched := &fakeWatchedOrder{o: orderOf("me", order.Paid, 0)}
	h, _, _ := startHub(t, watched, func(cfg *HubConfig) { cfg.PerAddress = 2 })
	watch := func(customer order.CustomerID, addr string) (*Watcher, error) {
		return h.Watch(customer, netip.MustParseAddr(addr), newID(), unseen)
	}
	var open []*Watcher
	for i, c := range []struct {
		customer order.CustomerID
		addr     string
	}{{"a", "198.51.100.1"}, {"b", "198.51.100.1"}, {"c", "198.51.100.2"}} {
		w, err := watch(c.customer, c.addr)
		if err != nil {
			t.Fatalf("watcher %d: %v", i, err)
		}
		open = append(open, w)
	}
	_, err := watch("d", "198.51.100.1")
	wantLimit(t, err, order.LimitWatchers)
	open[0].Close()
	if open[0], err = watch("d", "198.51.100.1"); err != nil {
		t.Errorf("after another one left: %v", err)
	}
	for _, w := range open {
		w.Close()
	}
	if len(h.from) != 0 {
		t.Errorf("%d addresses are left", len(h.from))
	}
}

// TestHub_GuestsOfOneAddressFillIt: 500 guests of one address open all streams that each may have; a customer at another address still watches.
func TestHub_GuestsOfOneAddressFillIt(t *testing.T) {
	const guests = 500
	h, _, _ := startHub(t, &fakeWatchedOrder{o: orderOf("me", order.Paid, 0)})
	attacker, open := netip.MustParseAddr("198.51.100.1"), 0
	for guest := range guests {
		for range h.cfg.PerCustomer {
			if w, err := h.Watch(order.CustomerID(fmt.Sprintf("guest_%d", guest)), attacker, newID(), unseen); err == nil {
				t.Cleanup(w.Close)
				open++
			}
		}
	}
	if open != h.cfg.PerAddress || open > h.cfg.Watchers/addressShare {
		t.Errorf("one address has %d of %d streams; want a tenth", open, h.cfg.Watchers)
	}
	w, err := h.Watch("buyer", netip.MustParseAddr("203.0.113.7"), newID(), unseen)
	if err != nil {
		t.Fatalf("the buyer cannot watch: %v", err)
	}
	w.Close()
}

func TestHub_BoundsWatchers(t *testing.T) {
	watched := &fakeWatchedOrder{o: orderOf("me", order.Paid, 0)}
	h, _, stop := startHub(t, watched, func(cfg *HubConfig) { cfg.Watchers, cfg.PerCustomer = 3, 2 })
	one, two := mustWatch(t, h, "me", newID(), unseen), mustWatch(t, h, "me", newID(), unseen)
	wantBusy := func(customer order.CustomerID) {
		t.Helper()
		var retry *order.RetryError
		if _, err := h.Watch(customer, netip.Addr{}, newID(), unseen); !errors.Is(err, order.ErrOverloaded) || !errors.As(err, &retry) || retry.After <= 0 {
			t.Errorf("one more of %s: %v; want busy with a hint", customer, err)
		}
	}
	wantBusy("me")
	three := mustWatch(t, h, "they", newID(), unseen)
	wantBusy("they")
	one.Close()
	four := mustWatch(t, h, "me", newID(), unseen)
	stop()
	await(t, "the hub to stop", h.stopped)
	if _, err := h.Watch("me", netip.Addr{}, newID(), unseen); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("of a stopped hub: %v; want unavailable", err)
	}
	for _, w := range []*Watcher{two, three, four} {
		w.Close()
	}
}

// TestHub_ReadsNoFeedWithoutWatchers: the journal carries orders, which leave Redis only if somebody watches.
func TestHub_ReadsNoFeedWithoutWatchers(t *testing.T) {
	h, f, _ := startHub(t, &fakeWatchedOrder{})
	await(t, "the feed to be reset", f.resets)
	select {
	case f.changed <- newID():
		t.Error("the feed was read although nobody watches")
	default:
	}
	w := mustWatch(t, h, "me", newID(), unseen)
	feedTo(t, f.changed, w.id)
	w.wantWoken(t, "its order changed")
	w.Close()
	feedTo(t, f.changed, "the one that was under way")
	await(t, "the feed to be reset", f.resets)
}

func TestResumeToken_RoundTripAndForeignTokens(t *testing.T) {
	id := newID()
	for _, state := range order.States() {
		if got, err := seenState(resumeToken(id, state), id); err != nil || got != state {
			t.Errorf("%v came back as %v, %v", state, got, err)
		}
	}
	if got, err := seenState("", id); err != nil || got != unseen {
		t.Errorf("no token: %v, %v", got, err)
	}
	for _, bad := range []string{"x", "!!", resumeToken(newID(), order.Paid), resumeToken(id, 9), resumeToken(id, -1), resumeToken(id, order.Paid) + "AA"} {
		if _, err := seenState(bad, id); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("token %q: %v; want ErrInvalid", bad, err)
		}
	}
}
