package stock_test

import (
	"context"
	"errors"
	"testing"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/fakesentinel"
	"github.com/spillway/spillway/test/realparts"
)

// TestEpochs_CutOffWithTheOldPrimary: one process is on the side of the old primary, with one of three Sentinels, and reaches SQL. After the
// other side has opened an epoch on the promoted replica, it takes no orders, opens no epoch on the old primary, which would close that
// of the others with all that they acknowledged, and keeps no connection to it. When the network is whole again it goes on in the others' epoch.
func TestEpochs_CutOffWithTheOldPrimary(t *testing.T) {
	first, second := realparts.StartRedis(t), realparts.StartRedis(t)
	a, b := admin(t, first.Addr()), admin(t, second.Addr())
	replicate(t, b, first.Addr())                                // Its first replica changes a primary's replication id.
	near, nearAddrs := fakesentinel.StartAll(t, first.Addr(), 3) // as the cut-off process reaches them
	far, farAddrs := fakesentinel.StartAll(t, first.Addr(), 3)   // as the other one does
	s := openShop(t, redisconn.Config{Sentinels: nearAddrs, Primary: fakesentinel.Name}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	other := &shop{keys: s.keys, sql: s.sql}
	other.connect(t, redisconn.Config{Sentinels: farAddrs, Primary: fakesentinel.Name}, stock.DefaultLimits())
	eventually(t, "the second process to be on the epoch", func() bool { return other.epochs.Check(t.Context()) == nil })
	s.mustReserve(t, request("k1", units("A", 1)))
	eventually(t, "the replica to have the entry", func() bool { return length(t, b, s.keys.Journal(1)) == 1 })
	for _, cut := range near[1:] {
		cut.Cut(true)
	}
	for _, moved := range far {
		moved.SetPrimary(second.Addr())
	}
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Errorf("without a majority, while SQL confirms the epoch: %v; want the epoch to go on", err)
	}
	command(t, b, "REPLICAOF", "NO", "ONE")
	eventually(t, "an epoch on the promoted replica", func() bool { return other.epochs.Check(t.Context()) == nil })
	opened, err := other.epochs.Current()
	if err != nil {
		t.Fatal(err)
	}
	other.mustReserve(t, request("k2", units("A", 2)))

	for range 3 {
		if err := s.epochs.Check(t.Context()); !errors.Is(err, redisconn.ErrNoMajority) {
			t.Errorf("the check of the cut-off process: %v; want ErrNoMajority", err)
		}
	}
	if _, err := s.Reserve(t.Context(), request("k3", units("A", 1))); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("the cut-off process reserved: %v; want ErrUnavailable", err)
	}
	if err := s.redis.Client().Do(t.Context(), s.redis.Client().B().Ping().Build()).Error(); !errors.Is(err, redisconn.ErrInstance) {
		t.Errorf("a command of the cut-off process: %v; want ErrInstance", err)
	}
	if now, _ := s.sql.OpenEpoch(t.Context(), 0); now.Number != opened.Number {
		t.Errorf("SQL's epoch is %d; want %d, that of the promoted replica", now.Number, opened.Number)
	}
	if n := length(t, a, s.keys.Journal(opened.Number)); n != 0 {
		t.Errorf("the old primary has %d entries of epoch %d", n, opened.Number)
	}

	for _, healed := range near {
		healed.Cut(false)
		healed.SetPrimary(second.Addr())
	}
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatalf("when the network is whole again: %v", err)
	}
	s.mustReserve(t, request("k3", units("A", 1)))
	other.flushAll(t)
	s.wantLeft(t, "A", 6)
}

// TestEpochs_CutOffFromSQLAndSentinels: nothing confirms the epoch, so that another process may have opened the next one.
func TestEpochs_CutOffFromSQLAndSentinels(t *testing.T) {
	redis := realparts.StartRedis(t)
	all, addrs := fakesentinel.StartAll(t, redis.Addr(), 3)
	s := openShop(t, redisconn.Config{Sentinels: addrs, Primary: fakesentinel.Name}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	away := &awaySQL{EpochStore: s.sql}
	s.epochs = s.newEpochs(away, nil, "journal")
	if err := s.epochs.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	away.err = errors.New("no route to host")
	if err := s.epochs.Check(t.Context()); !errors.Is(err, away.err) {
		t.Errorf("a check without SQL: %v", err)
	}
	if _, err := s.epochs.Current(); err != nil {
		t.Errorf("without SQL, while the Sentinels confirm the primary: %v; want the epoch to go on", err)
	}
	for _, cut := range all[1:] {
		cut.Cut(true)
	}
	if err := s.epochs.Check(t.Context()); !errors.Is(err, away.err) {
		t.Errorf("a check without SQL and Sentinels: %v", err)
	}
	if _, err := s.epochs.Current(); !errors.Is(err, redisconn.ErrNoMajority) || !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("without SQL and Sentinels: %v; want ErrNoMajority and ErrUnavailable", err)
	}
}

// awaySQL fails to read the open epoch while err is set.
type awaySQL struct {
	journal.EpochStore

	err error
}

func (a *awaySQL) OpenEpoch(ctx context.Context, partition uint8) (journal.Epoch, error) {
	if a.err != nil {
		return journal.Epoch{}, a.err
	}
	return a.EpochStore.OpenEpoch(ctx, partition)
}
