package journal_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/test/realparts"
)

// keeper is the epochs of one process.
type keeper struct {
	*journal.Epochs

	t *testing.T
}

// attempts is the number of failed attempts before orders are taken in SQL.
const attempts = 3

func newKeeper(t *testing.T, addr, namespace, durability string, st *fakeEpochs) keeper {
	t.Helper()
	conn, err := redisconn.Connect(redisconn.Config{Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return keeper{t: t, Epochs: journal.NewEpochs(journal.EpochsConfig{
		Keys: journal.Keys{Namespace: namespace}, Conn: conn, Store: st, Durability: durability, Log: slog.New(slog.DiscardHandler),
		SQLMode: journal.SQLModeConfig{Attempts: attempts},
		Drain: func(_ context.Context, epoch int64) error {
			err := st.call("drain")
			defer st.mu.Unlock()
			if err == nil {
				st.note("drain %d", epoch)
			}
			return err
		},
		Rewind: func(context.Context, rueidis.Client, []journal.Entry) error { return nil },
	})}
}

// finds checks once, and wants the epoch in the mode; no mode is no epoch.
func (k keeper) finds(number int64, mode journal.Mode) {
	k.t.Helper()
	err := k.Check(k.t.Context())
	e, unusable := k.Current()
	if (unusable != nil) != (mode == "") || unusable == nil && (e.Number != number || e.Mode != mode) {
		k.t.Errorf("epoch %+v (%v); the check: %v; want %d in %q", e, unusable, err, number, mode)
	}
}

// switched is two processes of a shop, each on a line of its own, in a first epoch in Redis.
func switched(t *testing.T, durability string) (st *fakeEpochs, keepers []keeper, lines []*partialLine) {
	t.Helper()
	st = &fakeEpochs{}
	namespace := "test-" + rand.Text()
	for range 2 {
		l := newPartialLine(t, realparts.Redis(t))
		k := newKeeper(t, l.addr, namespace, durability, st)
		k.finds(1, journal.ModeRedis)
		keepers, lines = append(keepers, k), append(lines, l)
	}
	return st, keepers, lines
}

// TestEpochs_SwitchToSQL: after enough failed attempts one process opens an epoch in SQL; the others adopt it at once.
func TestEpochs_SwitchToSQL(t *testing.T) {
	st, k, lines := switched(t, "journal")
	lines[0].cut(true)
	lines[1].cut(true)
	k[1].finds(0, "")
	for range attempts - 1 {
		k[0].finds(0, "")
	}
	k[0].finds(2, journal.ModeSQL)
	k[1].finds(2, journal.ModeSQL)
	k[0].finds(2, journal.ModeSQL)
	if e, err := st.Undrained(t.Context(), 0); err != nil || e.Number != 1 {
		t.Errorf("undrained: %+v, %v", e, err)
	}
	st.steps()
	lines[1].cut(false)
	k[1].finds(3, journal.ModeRedis)
	if got, want := st.steps(), []string{"drain 1", "drained 1", "open 3 in redis"}; !slices.Equal(got, want) {
		t.Errorf("when Redis is back: %v; want %v", got, want)
	}
	k[0].finds(0, "") // It does not reach Redis, and orders are not taken in SQL any more.
	lines[0].cut(false)
	k[0].finds(3, journal.ModeRedis)
}

// TestEpochs_TwoSwitchAtOnce: the process that comes second adopts the epoch of the other one in the same check.
func TestEpochs_TwoSwitchAtOnce(t *testing.T) {
	st, k, lines := switched(t, "sql")
	for _, l := range lines {
		l.cut(true)
	}
	for range attempts - 1 {
		k[0].finds(0, "")
		k[1].finds(0, "")
	}
	st.first = func() { k[1].finds(2, journal.ModeSQL) }
	k[0].finds(2, journal.ModeSQL)
	if got, want := st.steps(), []string{"open 1 in redis", "open 2 in sql"}; !slices.Equal(got, want) {
		t.Errorf("done: %v; want %v", got, want)
	}
}

// TestEpochs_SeenByAnotherProcess: a process that is cut off never switches while another one finds Redis.
func TestEpochs_SeenByAnotherProcess(t *testing.T) {
	st, k, lines := switched(t, "sql")
	lines[0].cut(true)
	for i := range 3 * attempts {
		if err := st.Seen(t.Context(), 0, 1, time.Now().Add(time.Duration(i)*time.Second)); err != nil { // As the other one does every few seconds.
			t.Fatal(err)
		}
		k[0].finds(0, "")
		k[1].finds(1, journal.ModeRedis)
	}
	if got := st.steps(); !slices.Equal(got, []string{"open 1 in redis"}) {
		t.Errorf("done: %v", got)
	}
}

// TestEpochs_RebuildIsInterrupted: after each step of the return to Redis the next attempt ends it, and orders are taken in SQL meanwhile.
func TestEpochs_RebuildIsInterrupted(t *testing.T) {
	crash := errors.New("crash")
	for step, left := range map[string][]string{
		"undrained": {"drain 1", "drained 1", "open 3 in redis"}, "drain": {"drain 1", "drained 1", "open 3 in redis"},
		"drained": {"drain 1", "drained 1", "open 3 in redis"}, "next": {"open 3 in redis"},
	} {
		t.Run(step, func(t *testing.T) {
			st, k, lines := switched(t, "replica")
			for _, l := range lines {
				l.cut(true)
			}
			for range attempts - 1 {
				k[0].finds(0, "")
			}
			k[0].finds(2, journal.ModeSQL)
			lines[0].cut(false)
			st.fail(step, crash)
			k[0].finds(2, journal.ModeSQL)
			lines[0].cut(true) // Redis flaps.
			st.fail("", nil)
			k[0].finds(2, journal.ModeSQL)
			st.steps()
			lines[0].cut(false)
			k[0].finds(3, journal.ModeRedis)
			if got := st.steps(); !slices.Equal(got, left) {
				t.Errorf("done: %v; want %v", got, left)
			}
			lines[1].cut(false)
			k[1].finds(3, journal.ModeRedis)
		})
	}
}

// TestEpochs_WithoutSQLToo: without SQL no step can be taken in it; Redis that comes back meanwhile changes nothing.
func TestEpochs_WithoutSQLToo(t *testing.T) {
	st, k, lines := switched(t, "journal")
	lines[0].cut(true)
	for range attempts - 1 {
		k[0].finds(0, "")
	}
	k[0].finds(2, journal.ModeSQL)
	st.goAway(order.ErrUnavailable)
	k[0].finds(0, "")
	lines[0].cut(false)
	k[0].finds(0, "")
	st.goAway(nil)
	k[0].finds(3, journal.ModeRedis)
}

// TestEpochs_OtherDurability: a process with another setting than the shop's neither switches nor adopts.
func TestEpochs_OtherDurability(t *testing.T) {
	st, k, lines := switched(t, "journal")
	l := newPartialLine(t, realparts.Redis(t))
	l.cut(true)
	other := newKeeper(t, l.addr, "test-"+rand.Text(), "sql", st)
	for range 2 * attempts {
		other.finds(0, "")
	}
	lines[0].cut(true)
	for range attempts - 1 {
		k[0].finds(0, "")
	}
	k[0].finds(2, journal.ModeSQL)
	other.finds(0, "")
}

// TestEpochs_LoadingRedis: a Redis that takes minutes to read its data is unavailable, although it reports its identity.
func TestEpochs_LoadingRedis(t *testing.T) {
	for _, instance := range []string{"r/m", "another"} {
		st := &fakeEpochs{epochs: []journal.Epoch{{Number: 1, Instance: instance, LastID: journal.StartID, Durability: "sql", Mode: journal.ModeRedis}}}
		k := newKeeper(t, loadingRedis(t), "test-"+rand.Text(), "sql", st)
		for range attempts - 1 {
			k.finds(0, "")
		}
		for range 3 {
			k.finds(2, journal.ModeSQL)
		}
	}
}
