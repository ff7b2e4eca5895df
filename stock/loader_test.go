package stock_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/realparts"
)

// addBacklog appends n reservations of one unit, of the SKUs in turn, that SQL does not have.
func (s *shop) addBacklog(t *testing.T, n int, skus []order.SKU) {
	t.Helper()
	c := s.redis.Client()
	cmds := make([]rueidis.Completed, n)
	for i := range cmds {
		cmd := c.B().Xadd().Key(s.keys.Journal(1)).Id("*").FieldValue()
		for name, value := range with(map[string]string{"deltas": string(skus[i%len(skus)]) + ":-1"}) {
			cmd = cmd.FieldValue(name, value)
		}
		cmds[i] = cmd.Build()
	}
	for _, r := range c.DoMulti(t.Context(), cmds...) {
		if err := r.Error(); err != nil {
			t.Fatal(err)
		}
	}
}

// coldShop is a shop of n SKUs without counters, "SKU-0" and so on, with 1,000 units each.
func coldShop(t *testing.T, cfg redisconn.Config, n int) (*shop, []order.SKU) {
	t.Helper()
	skus, units := make([]order.SKU, n), make(map[order.SKU]int64, n)
	for i := range skus {
		skus[i] = order.SKU("SKU-" + strconv.Itoa(i))
		units[skus[i]] = 1000
	}
	return openShop(t, cfg, stock.DefaultLimits(), units), skus
}

// TestLoader_ManyColdSKUsWithABacklog: each order needs the counter of another SKU. One pass over the journal must serve many of them: with one
// each, Redis does nothing else.
func TestLoader_ManyColdSKUsWithABacklog(t *testing.T) {
	const (
		cold, backlog = 200, 12_000
		maxBatches    = cold / 10 // 2 or 3, unless the scheduler holds callers back between their miss and their wait.
		callsPerBatch = backlog/stock.MaxLoadEntries + 2
	)
	s, skus := coldShop(t, redisconn.Config{Addr: realparts.Redis(t)}, cold)
	s.addBacklog(t, backlog, skus)
	sql := &fakeCountingStore{fakeStore: s.sql, waiting: make(chan struct{})}
	calls := &fakeCountingPermit{}
	st := stock.New(s.keys.Keys, s.redis, s.epochs, sql, patientLimits(), calls)
	var done sync.WaitGroup
	for i, sku := range skus {
		done.Go(func() {
			if _, err := st.Reserve(t.Context(), request(fmt.Sprint(i), units(sku, 1))); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "all callers to miss their counters", func() bool { return calls.reports.Load() >= cold })
	close(sql.waiting)
	done.Wait()
	if n := sql.reads.Load(); n > maxBatches {
		t.Errorf("%d counters were loaded in %d batches; want at most %d", cold, n, maxBatches)
	}
	if n := calls.reports.Load() - 2*cold; n > maxBatches*callsPerBatch {
		t.Errorf("%d calls of the load script, with up to %d entries each; want at most %d", n, stock.MaxLoadEntries, maxBatches*callsPerBatch)
	}
	for _, sku := range skus {
		s.wantLeft(t, sku, 1000-backlog/cold-1)
	}
}

// fakeHookPermit calls hook after each call of Redis, with the number of calls so far.
type fakeHookPermit struct {
	calls atomic.Int32
	hook  func(call int)
}

func (*fakeHookPermit) Permit() error    { return nil }
func (p *fakeHookPermit) Report(_ error) { p.hook(int(p.calls.Add(1))) }

// TestLoad_JournalMovesBetweenParts: the journal grows, is flushed and trimmed between the parts that a load reads.
func TestLoad_JournalMovesBetweenParts(t *testing.T) {
	flush := func(t *testing.T, s *shop) string {
		t.Helper()
		entries, err := s.journal.Read(t.Context(), 1, s.sql.epoch.LastID, 7)
		if err != nil {
			t.Fatal(err)
		}
		s.sql.apply(entries)
		return s.sql.epoch.LastID
	}
	trim := func(t *testing.T, s *shop) {
		t.Helper()
		id, c := flush(t, s), s.redis.Client()
		for _, r := range c.DoMulti(t.Context(), c.B().Set().Key(s.keys.Trimmed(1)).Value(id).Build(),
			c.B().Xtrim().Key(s.keys.Journal(1)).Minid().Exact().Threshold(id).Build()) {
			if err := r.Error(); err != nil {
				t.Fatal(err)
			}
		}
	}
	appended := 0
	grow := func(t *testing.T, s *shop) { s.addBacklog(t, 2, []order.SKU{"SKU-0"}); appended += 2 }
	for name, move := range map[string]func(t *testing.T, s *shop){
		"grows": grow, "is flushed": func(t *testing.T, s *shop) { flush(t, s) }, "is trimmed": trim,
		"grows and is trimmed": func(t *testing.T, s *shop) { grow(t, s); trim(t, s) },
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, cfg redisconn.Config) {
				s, skus := coldShop(t, cfg, 1)
				appended = 0
				s.addBacklog(t, 20, skus)
				permit := &fakeHookPermit{hook: func(call int) {
					if call > 1 && call < 6 { // The first call is the reservation that misses its counter.
						move(t, s)
					}
				}}
				st := stock.New(s.keys.Keys, s.redis, s.epochs, s.sql, patientLimits(), permit)
				st.SetLoadEntries(3)
				if _, err := st.Reserve(t.Context(), request("k", units("SKU-0", 1))); err != nil {
					t.Fatal(err)
				}
				if n := permit.calls.Load(); n < 6 {
					t.Errorf("%d calls; the journal was to be read in several parts", n)
				}
				s.wantLeft(t, "SKU-0", int64(1000-20-appended-1))
			})
		})
	}
}

// TestLoad_FullBatch: one call of the script has as many SKUs as a batch may have.
func TestLoad_FullBatch(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s, skus := coldShop(t, cfg, stock.MaxBatchSKUs+1)
		s.SetLoadEntries(1000)
		s.addBacklog(t, 2*len(skus), skus)
		if err := s.Load(t.Context(), skus); err != nil {
			t.Fatal(err)
		}
		left, err := stock.ReadCounters(t.Context(), s.redis, s.keys.Keys, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, sku := range skus {
			if n, ok := left.Units[sku]; !ok || n != 998 {
				t.Fatalf("the counter of %s is %d (%t); want 998", sku, n, ok)
			}
		}
	})
}

// fakeFailingStore fails while err is set, after the caller that it holds was let go.
type fakeFailingStore struct {
	*fakeStore

	began, proceed chan struct{}
	err            error
}

func (b *fakeFailingStore) Snapshot(ctx context.Context, partition uint8, skus []order.SKU) (journal.Epoch, map[order.SKU]int64, error) {
	b.began <- struct{}{}
	<-b.proceed
	if err := b.err; err != nil {
		b.err = nil
		return journal.Epoch{}, nil, err
	}
	return b.fakeStore.Snapshot(ctx, partition, skus)
}

func TestLoader_ErrorsReachOnlyTheirCallers(t *testing.T) {
	s, _ := coldShop(t, redisconn.Config{Addr: realparts.Redis(t)}, 3)
	sql := &fakeFailingStore{
		fakeStore: s.sql, began: make(chan struct{}), proceed: make(chan struct{}),
		err: &order.RetryError{After: time.Second, Err: order.ErrUnavailable},
	}
	st := stock.New(s.keys.Keys, s.redis, s.epochs, sql, patientLimits(), stubPermit{})
	reserve := func(ctx context.Context, sku order.SKU) <-chan error {
		done := make(chan error, 1)
		go func() {
			_, err := st.Reserve(ctx, request(string(sku), units(sku, 1)))
			done <- err
		}()
		return done
	}
	failed := reserve(t.Context(), "SKU-0")
	<-sql.began
	left, leave := context.WithCancel(t.Context())
	gone, unknown, good := reserve(left, "SKU-1"), reserve(t.Context(), "none"), reserve(t.Context(), "SKU-2")
	eventually(t, "three SKUs to wait", func() bool { return st.WaitingLoads() == 3 })
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller that left: %v; want context.Canceled", err)
	}
	sql.proceed <- struct{}{}
	var retry *order.RetryError
	if err := <-failed; !errors.As(err, &retry) || !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("the caller of the batch that failed: %v; want a RetryError", err)
	}
	<-sql.began
	sql.proceed <- struct{}{}
	if err := <-unknown; !errors.Is(err, order.ErrNotFound) {
		t.Errorf("the caller of an unknown SKU: %v; want ErrNotFound", err)
	}
	if err := <-good; err != nil {
		t.Errorf("the caller beside an unknown SKU: %v", err)
	}
}

// TestLoad_StockChangedBesideTheJournalMeanwhile: a dead letter is replayed while a load has read SQL and not yet made the counter.
func TestLoad_StockChangedBesideTheJournalMeanwhile(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		for at := 1; at <= 5; at++ { // The miss, the drops, three parts of the journal.
			s, skus := coldShop(t, cfg, 1)
			s.addBacklog(t, 8, skus)
			st := stock.New(s.keys.Keys, s.redis, s.epochs, s.sql, patientLimits(), &fakeHookPermit{hook: func(call int) {
				if call != at {
					return
				}
				s.sql.mu.Lock()
				s.sql.units["SKU-0"] -= 5
				s.sql.mu.Unlock()
				if err := s.DropCounters(t.Context(), skus); err != nil {
					t.Error(err)
				}
			}})
			st.SetLoadEntries(3)
			if _, err := st.Reserve(t.Context(), request("k", units("SKU-0", 1))); err != nil {
				t.Fatal(err)
			}
			s.wantLeft(t, "SKU-0", 1000-8-5-1)
		}
	})
}
