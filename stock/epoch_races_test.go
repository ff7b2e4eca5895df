package stock_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/realparts"
)

// fakeOvertakenStore is SQL on which something happens right after the open epoch was read once, or that is unavailable.
type fakeOvertakenStore struct {
	*fakeStore

	then func()
	err  error // SQL is unavailable
}

func (b *fakeOvertakenStore) OpenEpoch(ctx context.Context, partition uint8) (journal.Epoch, error) {
	if b.err != nil {
		return journal.Epoch{}, b.err
	}
	e, err := b.fakeStore.OpenEpoch(ctx, partition)
	if then := b.then; then != nil {
		b.then = nil
		then()
	}
	return e, err
}

// TestEpochs_FlushedAndTrimmedBetweenTheReads: SQL is read before Redis. What is flushed and trimmed between the two is no loss.
func TestEpochs_FlushedAndTrimmedBetweenTheReads(t *testing.T) {
	s := openShop(t, redisconn.Config{Addr: realparts.Redis(t)}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	b := &fakeOvertakenStore{fakeStore: s.sql}
	drain := func(context.Context, int64) error { return nil }
	epochs := s.newEpochs(b, drain, "journal")
	s.mustReserve(t, request("k1", units("A", 1)))
	last := s.mustReserve(t, request("k2", units("A", 1))).Offset
	b.then = func() {
		s.flushAll(t)
		if _, err := s.journal.Trim(t.Context(), last.Epoch, last.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if epoch, err := epochs.Current(); err != nil || epoch.Number != 1 {
		t.Errorf("epoch %d is open (%v); want 1: nothing was lost", epoch.Number, err)
	}
}

// TestEpochs_CommittedWhileRedisLostData: a flusher had read the entries from the previous Redis, and commits them after the check has read
// SQL's offset. The journal that is closed ends before them, so that idempotency records are lost too.
func TestEpochs_CommittedWhileRedisLostData(t *testing.T) {
	s := openShop(t, redisconn.Config{Addr: realparts.Redis(t)}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	s.mustReserve(t, request("k1", units("A", 1)))
	s.flushAll(t)
	drain := func(context.Context, int64) error {
		s.sql.mu.Lock()
		defer s.sql.mu.Unlock()
		s.sql.epoch.LastID = fmt.Sprintf("%d-0", time.Now().Add(time.Minute).UnixMilli())
		return nil
	}
	epochs := s.newEpochs(s.sql, drain, "journal")
	epochs.Invalidate(1)
	if err := epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if epoch, err := epochs.Current(); err != nil || epoch.RecordsLostAt.IsZero() {
		t.Errorf("epoch %+v (%v) does not say that idempotency records were lost", epoch, err)
	}
}

// fakeLateCommitStore is SQL to which a flusher commits a batch, once, right before the next epoch is opened.
type fakeLateCommitStore struct {
	*fakeStore

	commit func()
}

func (b *fakeLateCommitStore) NextEpoch(ctx context.Context, closed journal.Offset, next journal.Epoch) (journal.Epoch, error) {
	if commit := b.commit; commit != nil {
		b.commit = nil
		commit()
	}
	return b.fakeStore.NextEpoch(ctx, closed, next)
}

// TestEpochs_CommittedBeforeTheNextEpoch: a flusher that had read a batch from the previous Redis commits it after the rebuild has looked for
// a loss. The rebuild starts over, and the next epoch records that idempotency records were lost (I4).
func TestEpochs_CommittedBeforeTheNextEpoch(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		s.mustReserve(t, request("k1", units("A", 1)))
		s.flushAll(t)
		b := &fakeLateCommitStore{fakeStore: s.sql, commit: func() {
			s.sql.apply([]journal.Entry{{ID: fmt.Sprintf("%d-0", time.Now().Add(time.Minute).UnixMilli()), Deltas: []order.Delta{{SKU: "A", Units: -2}}}})
		}}
		epochs := s.newEpochs(b, func(context.Context, int64) error { return nil }, "journal")
		epochs.Invalidate(1)
		if err := epochs.Check(t.Context()); !errors.Is(err, journal.ErrEpochConflict) {
			t.Errorf("the first rebuild: %v; want ErrEpochConflict", err)
		}
		if err := epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if epoch, err := epochs.Current(); err != nil || epoch.Number != 2 || epoch.RecordsLostAt.IsZero() {
			t.Errorf("epoch %+v (%v) is not 2, or does not record that idempotency records were lost", epoch, err)
		}
	})
}

// TestRewind_BeforeTheRelayReads: connections are allowed while the previous epoch is flushed. The relay drops what a closed journal holds
// beyond SQL's offset, and the journal. What this Redis remembers of it must be undone before.
func TestRewind_BeforeTheRelayReads(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		lost := request("lost", units("A", 1))
		s.mustReserve(t, lost)
		s.failOver(t)
		relayed := func(ctx context.Context, _ int64) error { return s.journal.Remove(ctx, 1) }
		epochs := s.newEpochs(s.sql, relayed, "journal")
		if err := epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rec, err := s.HotOrder(t.Context(), lost.OrderID); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("Redis still has an order that never happened: %+v (%v)", rec, err)
		}
	})
}

// TestEpochs_AnotherInstanceWhileSQLIsUnavailable: an epoch goes on without SQL, but not on another Redis.
func TestEpochs_AnotherInstanceWhileSQLIsUnavailable(t *testing.T) {
	redis := realparts.StartRedis(t)
	s := openShop(t, redisconn.Config{Addr: redis.Addr()}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	b := &fakeOvertakenStore{fakeStore: s.sql}
	epochs := s.newEpochs(b, nil, "journal")
	if err := epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.err = errors.New("SQL is away")
	if err := epochs.Check(t.Context()); !errors.Is(err, b.err) {
		t.Errorf("check: %v", err)
	}
	if _, err := epochs.Current(); err != nil {
		t.Errorf("the epoch does not go on without SQL: %v", err)
	}
	redis.Restart()
	eventually(t, "another instance", func() bool { return errors.Is(epochs.Check(t.Context()), b.err) })
	if epoch, err := epochs.Current(); err == nil {
		t.Errorf("epoch %d goes on, though another Redis answers", epoch.Number)
	}
}

// TestReserve_SentAgainInTheNextEpoch: the first attempt succeeded too late, its units were deducted in SQL, and Redis lost it. Taken
// again, they would be taken twice for an order that gives them back once.
func TestReserve_SentAgainInTheNextEpoch(t *testing.T) {
	onBoth(t, func(t *testing.T, cfg redisconn.Config) {
		s := openShop(t, cfg, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
		r := request("k", units("A", 2))
		r.Epoch = s.mustReserve(t, r).Offset.Epoch
		if again := s.mustReserve(t, r); again.Replay != "" {
			t.Errorf("sent again in the same epoch: %+v", again)
		}
		s.flushAll(t)
		c := s.redis.Client()
		gone := []string{s.keys.Epoch(), s.keys.Journal(1), s.keys.Stock(1), s.keys.Order(r.OrderID), s.keys.Idempotency(r.Customer, r.Key)}
		if err := c.Do(t.Context(), c.B().Del().Key(gone...).Build()).Error(); err != nil {
			t.Fatal(err)
		}
		if err := s.epochs.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if res, err := s.Reserve(t.Context(), r); !errors.Is(err, order.ErrUnavailable) {
			t.Errorf("sent again in the next epoch: %+v (%v); want ErrUnavailable", res, err)
		}
		s.wantLeft(t, "A", 8)
	})
}
