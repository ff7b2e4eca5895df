package stock_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
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

// admin is a connection to a Redis that checks nothing.
func admin(t *testing.T, addr string) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// eventually waits for something that other processes do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	const patience, pollInterval = 2 * time.Minute, 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

func command(t *testing.T, c rueidis.Client, words ...string) string {
	t.Helper()
	r := c.Do(t.Context(), c.B().Arbitrary(words[0]).Args(words[1:]...).Build())
	if err := r.NonRedisError(); err != nil {
		t.Fatalf("%v: %v", words, err)
	}
	text, err := r.ToString()
	if err != nil {
		t.Fatalf("%v: %v", words, err)
	}
	return text
}

// replicate makes the Redis a replica of the primary, and waits until it has the primary's data.
func replicate(t *testing.T, replica rueidis.Client, primary string) {
	t.Helper()
	host, port, err := net.SplitHostPort(primary)
	if err != nil {
		t.Fatal(err)
	}
	command(t, admin(t, primary), "CONFIG", "SET", "repl-diskless-sync-delay", "0")
	command(t, replica, "REPLICAOF", host, port)
	eventually(t, "the replica to be in sync", func() bool {
		info := command(t, replica, "INFO", "replication")
		return strings.Contains(info, "master_link_status:up") && strings.Contains(info, "master_sync_in_progress:0")
	})
}

// TestEpochs_DemotedResyncedAndPromoted: the instance keeps its run_id, its connections and the epoch's key, and its data is older.
// Not one unit may be reserved on it before its counters are SQL's again (I3).
func TestEpochs_DemotedResyncedAndPromoted(t *testing.T) {
	first, second := realparts.StartRedis(t), realparts.StartRedis(t)
	a, b := admin(t, first.Addr()), admin(t, second.Addr())
	s := openShop(t, redisconn.Config{Addr: first.Addr()}, stock.DefaultLimits(), map[order.SKU]int64{"A": 100})
	ctx := t.Context()
	replicate(t, b, first.Addr())
	command(t, b, "REPLICAOF", "NO", "ONE") // It is cut off here, as by a partition.
	if err := s.epochs.Check(ctx); err != nil {
		t.Fatal(err) // The first replica changes the replication id: another epoch is open now.
	}
	replicate(t, b, first.Addr())
	command(t, b, "REPLICAOF", "NO", "ONE")
	if err := s.epochs.Check(ctx); err != nil {
		t.Fatal(err)
	}
	before, err := s.epochs.Current()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		s.mustReserve(t, request(fmt.Sprint("sold ", i), units("A", 1)))
	}
	s.flushAll(t)
	replicate(t, a, second.Addr())
	command(t, a, "REPLICAOF", "NO", "ONE")

	if _, err := s.Reserve(ctx, request("at once", units("A", 61))); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("a reservation on the older data: %v; want ErrUnavailable", err)
	}
	if _, _, err := s.Adjust(ctx, before.Number, order.Adjustment{ID: "a", SKU: "A", Units: -61}); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("an adjustment on the older data: %v; want ErrUnavailable", err)
	}
	if err := s.epochs.Check(ctx); err != nil {
		t.Fatal(err)
	}
	after, err := s.epochs.Current()
	if err != nil || after.Number != before.Number+1 {
		t.Fatalf("epoch %d is open (%v); want the one after %d", after.Number, err, before.Number)
	}
	if after.RecordsLostAt.IsZero() || !s.IdempotencyRecordsMayBeLost() {
		t.Error("the epoch does not say that idempotency records were lost")
	}
	s.wantLeft(t, "A", 60)
	var sold *order.SoldOutError
	if _, err := s.Reserve(ctx, request("after", units("A", 61))); !errors.As(err, &sold) {
		t.Errorf("61 of 60: %v; want sold out", err)
	}
}

// TestStock_NoEntryOnAnOlderCopy: the instance was demoted, resynced from an older copy and promoted, over the same connection. An entry
// of its journal would end behind SQL's offset, as if Redis had lost nothing: then a retried key would order twice (I4).
func TestStock_NoEntryOnAnOlderCopy(t *testing.T) {
	first, second := realparts.StartRedis(t), realparts.StartRedis(t)
	a, b := admin(t, first.Addr()), admin(t, second.Addr())
	s := openShop(t, redisconn.Config{Addr: first.Addr()}, stock.DefaultLimits(), map[order.SKU]int64{"A": 100})
	replicate(t, b, first.Addr())
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatal(err) // The first replica changes the replication id.
	}
	before, err := s.epochs.Current()
	if err != nil {
		t.Fatal(err)
	}
	settled, released := request("settled", units("A", 1)), request("released", units("A", 1))
	s.mustReserve(t, settled)
	at := s.mustReserve(t, released).Offset
	eventually(t, "the replica to have both orders", func() bool {
		return length(t, b, s.keys.Journal(before.Number)) == 2
	})
	command(t, b, "REPLICAOF", "NO", "ONE")
	s.mustReserve(t, request("lost", units("A", 1)))
	s.flushAll(t)
	replicate(t, a, second.Addr())
	command(t, a, "REPLICAOF", "NO", "ONE")

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := s.Settle(ctx, settled.OrderID, "ch", ""); err == nil {
		t.Error("an order was settled on the older copy")
	}
	if _, err := s.Release(ctx, released.OrderID, "why", ""); err == nil {
		t.Error("an order was released on the older copy")
	}
	if _, err := s.Restock(t.Context(), at.Epoch, order.NewID(0, time.Now()), "c1", []order.Delta{{SKU: "A", Units: 1}}, "why"); err == nil {
		t.Error("units were restocked on the older copy")
	}
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if epoch, err := s.epochs.Current(); err != nil || epoch.Number != before.Number+1 || epoch.RecordsLostAt.IsZero() {
		t.Errorf("epoch %+v (%v); want the one after %d, with the loss recorded", epoch, err, before.Number)
	}
}

// TestEpochs_JournalEndsBeforeSQL: whatever the instance is called, a journal that ends before SQL's offset is an older one.
func TestEpochs_JournalEndsBeforeSQL(t *testing.T) {
	s := openShop(t, redisconn.Config{Addr: realparts.Redis(t)}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	s.mustReserve(t, request("k1", units("A", 3)))
	s.flushAll(t)
	s.sql.mu.Lock()
	s.sql.epoch.LastID = fmt.Sprintf("%d-0", time.Now().Add(time.Minute).UnixMilli())
	s.sql.units["A"] = 5 // Two more were sold, which Redis has lost.
	s.sql.mu.Unlock()
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	epoch, err := s.epochs.Current()
	if err != nil || epoch.Number != 2 || epoch.RecordsLostAt.IsZero() {
		t.Errorf("epoch %+v (%v); want number 2, with the loss recorded", epoch, err)
	}
	s.wantLeft(t, "A", 5)
}

// TestEpochs_SQLLostCommits: an offset before what is trimmed means that SQL lost what it had applied.
func TestEpochs_SQLLostCommits(t *testing.T) {
	s := openShop(t, redisconn.Config{Addr: realparts.Redis(t)}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	s.mustReserve(t, request("k1", units("A", 1)))
	last := s.mustReserve(t, request("k2", units("A", 1))).Offset
	if _, err := s.journal.Trim(t.Context(), last.Epoch, last.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.journal.Read(t.Context(), last.Epoch, journal.StartID, 10); !errors.Is(err, journal.ErrTrimmed) {
		t.Errorf("reading behind trimmed entries: %v; want ErrTrimmed", err)
	}
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if epoch, err := s.epochs.Current(); err != nil || epoch.Number != 2 {
		t.Errorf("epoch %+v (%v); want number 2", epoch, err)
	}
}

// TestEpochs_RestartOnACompleteFile: Redis has the epoch's key and a journal that reaches SQL's offset, so no idempotency record is
// missing and no reservation needs to read SQL.
func TestEpochs_RestartOnACompleteFile(t *testing.T) {
	redis := realparts.StartRedis(t)
	s := openShop(t, redisconn.Config{Addr: redis.Addr()}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	s.mustReserve(t, request("k1", units("A", 3)))
	s.flushAll(t)
	redis.Restart()
	eventually(t, "an epoch after the restart", func() bool { return s.epochs.Check(t.Context()) == nil })
	epoch, err := s.epochs.Current()
	if err != nil || epoch.Number != 2 {
		t.Fatalf("epoch %+v (%v); want number 2", epoch, err)
	}
	if s.IdempotencyRecordsMayBeLost() {
		t.Error("idempotency records are taken for lost after a restart that lost nothing")
	}
	if res := s.mustReserve(t, request("k1", units("A", 3))); res.Replay == "" {
		t.Error("the key was not known")
	}
}

// TestEpochs_LossIsInherited: a loss counts for as long as idempotency records live, also when epochs open without one meanwhile.
func TestEpochs_LossIsInherited(t *testing.T) {
	s := openShop(t, redisconn.Config{Addr: realparts.Redis(t)}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	c := s.redis.Client()
	if err := c.Do(t.Context(), c.B().Del().Key(s.keys.Epoch()).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	for _, number := range []int64{2, 3} {
		if err := s.epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if epoch, err := s.epochs.Current(); err != nil || epoch.Number != number || !s.IdempotencyRecordsMayBeLost() {
			t.Errorf("epoch %+v (%v); want number %d, with the loss recorded", epoch, err, number)
		}
		s.epochs.Invalidate(number)
	}
}

func TestEpochs_OtherDurability(t *testing.T) {
	s := openShop(t, redisconn.Config{Addr: realparts.Redis(t)}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	drain := func(context.Context, int64) error { return nil }
	other := s.newEpochs(s.sql, drain, "sql")
	if err := other.Check(t.Context()); !errors.Is(err, journal.ErrDurability) {
		t.Errorf("check with another setting: %v; want ErrDurability", err)
	}
	if _, err := other.Current(); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("the epoch was adopted: %v", err)
	}
}

// TestStock_SQLIsFurtherThanTheHotOrder: Redis holds the order as pending, from an earlier epoch; SQL has its later state.
func TestStock_SQLIsFurtherThanTheHotOrder(t *testing.T) {
	at := time.Now().UTC().Truncate(time.Millisecond)
	for _, c := range []struct {
		name       string
		sql        order.Status
		state      order.State
		settles    bool
		releases   bool
		returnedTo int64
	}{
		{"released", order.Status{State: order.Cancelled, Reason: order.CancelledAsDeclined("insufficient_funds"), At: at}, order.Cancelled, false, true, 10},
		{"paid", order.Status{State: order.Paid, At: at}, order.Paid, true, false, 10},
		{"shipped", order.Status{State: order.Shipped, At: at}, order.Paid, true, false, 10},
		{"pending", order.Status{State: order.Pending, At: at}, order.Pending, true, false, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, cfg redisconn.Config) {
				s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
				r := request("k1", units("A", 3))
				s.mustReserve(t, r)
				s.sql.units["A"] = c.returnedTo
				s.sql.standing = map[order.ID]order.Status{r.OrderID: c.sql}
				s.sql.epoch.LastID = fmt.Sprintf("%d-0", at.Add(time.Minute).UnixMilli())
				s.epochs.Invalidate(1)
				if err := s.epochs.Check(t.Context()); err != nil {
					t.Fatal(err)
				}
				s.wantLeft(t, "A", c.returnedTo)
				if rec, err := s.HotOrder(t.Context(), r.OrderID); err != nil || rec.State != c.state || rec.Reason != c.sql.Reason.Encode() {
					t.Errorf("the record is %s for %q (%v); want %s", rec.State, rec.Reason, err, c.state)
				}
				if _, err := s.Settle(t.Context(), r.OrderID, "ch", ""); (err == nil) != c.settles {
					t.Errorf("settle: %v; want success: %t", err, c.settles)
				}
				if _, err := s.Release(t.Context(), r.OrderID, "why", ""); (err == nil) != c.releases {
					t.Errorf("release: %v; want success: %t", err, c.releases)
				}
				s.wantLeft(t, "A", c.returnedTo)
			})
		})
	}
}

// fakeCountingStore counts the reads of SQL's stock, each of which waits until all callers miss the counter.
type fakeCountingStore struct {
	*fakeStore

	reads   atomic.Int32
	waiting chan struct{}
}

func (b *fakeCountingStore) Snapshot(ctx context.Context, partition uint8, skus []order.SKU) (journal.Epoch, map[order.SKU]int64, error) {
	b.reads.Add(1)
	<-b.waiting
	return b.fakeStore.Snapshot(ctx, partition, skus)
}

// fakeCountingPermit counts the calls of Redis that are over.
type fakeCountingPermit struct{ reports atomic.Int32 }

func (*fakeCountingPermit) Permit() error  { return nil }
func (p *fakeCountingPermit) Report(error) { p.reports.Add(1) }

func TestStock_LoadsACounterOnce(t *testing.T) {
	s := openShop(t, redisconn.Config{Addr: realparts.Redis(t)}, stock.DefaultLimits(), map[order.SKU]int64{"A": 1000})
	b := &fakeCountingStore{fakeStore: s.sql, waiting: make(chan struct{})}
	calls := &fakeCountingPermit{}
	st := stock.New(s.keys.Keys, s.redis, s.epochs, b, patientLimits(), calls)
	const (
		callers  = 50
		maxReads = callers / 10 // 1, unless the scheduler holds callers back between their miss and their wait.
	)
	var done sync.WaitGroup
	for i := range callers {
		done.Go(func() {
			if _, err := st.Reserve(t.Context(), request(fmt.Sprint(i), units("A", 1))); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "all callers to miss the counter", func() bool { return calls.reports.Load() >= callers })
	close(b.waiting)
	done.Wait()
	if n := b.reads.Load(); n > maxReads {
		t.Errorf("SQL was read %d times for one counter, want %d at most", n, maxReads)
	}
	s.wantLeft(t, "A", 1000-callers)
}
