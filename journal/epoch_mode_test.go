package journal_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/test/realparts"
)

// fakeEpochs is SQL's record of the epochs, and what was done to it.
type fakeEpochs struct {
	mu     sync.Mutex
	epochs []journal.Epoch
	done   []string
	// away is the error of every call; failing is that of the named one.
	away    error
	failing map[string]error
	// first runs before the next epoch is opened in SQL, once; nil for nothing.
	first func()
}

// call begins a call; the caller unlocks.
func (f *fakeEpochs) call(name string) error {
	f.mu.Lock()
	return errors.Join(f.away, f.failing[name])
}

func (f *fakeEpochs) fail(name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failing = map[string]error{name: err}
}

func (f *fakeEpochs) goAway(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = err
}

// steps returns what was done since the last call.
func (f *fakeEpochs) steps() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.done = nil }()
	return f.done
}

func (f *fakeEpochs) note(format string, args ...any) {
	f.done = append(f.done, fmt.Sprintf(format, args...))
}

func (f *fakeEpochs) open() *journal.Epoch { return &f.epochs[len(f.epochs)-1] }

func (f *fakeEpochs) OpenEpoch(context.Context, uint8) (journal.Epoch, error) {
	err := f.call("open")
	defer f.mu.Unlock()
	if err == nil && len(f.epochs) == 0 {
		err = journal.ErrNoEpoch
	}
	if err != nil {
		return journal.Epoch{}, err
	}
	return *f.open(), nil
}

func (f *fakeEpochs) EpochAt(_ context.Context, _ uint8, number int64) (journal.Epoch, error) {
	err := f.call("at")
	defer f.mu.Unlock()
	if err == nil && (number < 1 || int(number) > len(f.epochs)) {
		err = journal.ErrNoEpoch
	}
	if err != nil {
		return journal.Epoch{}, err
	}
	return f.epochs[number-1], nil
}

func (f *fakeEpochs) append(next journal.Epoch) journal.Epoch {
	if len(f.epochs) > 0 {
		f.open().Closed = true
	}
	next.Number, next.LastID, next.OpenedAt = int64(len(f.epochs)+1), journal.StartID, time.Now()
	f.epochs = append(f.epochs, next)
	f.note("open %d in %s", next.Number, next.Mode)
	return next
}

func (f *fakeEpochs) NextEpoch(_ context.Context, closed journal.Offset, next journal.Epoch) (journal.Epoch, error) {
	err := f.call("next")
	defer f.mu.Unlock()
	if err == nil && closed.Epoch != int64(len(f.epochs)) {
		err = journal.ErrEpochConflict
	}
	if err != nil {
		return journal.Epoch{}, err
	}
	return f.append(next), nil
}

func (f *fakeEpochs) OpenSQLEpoch(_ context.Context, closed journal.Epoch) (journal.Epoch, error) {
	if first := f.first; first != nil {
		f.first = nil
		first()
	}
	err := f.call("openSQL")
	defer f.mu.Unlock()
	if open := *f.open(); err == nil && (open.Number != closed.Number || open.LastID != closed.LastID || !open.SeenAt.Equal(closed.SeenAt)) {
		err = journal.ErrEpochConflict
	}
	if err != nil {
		return journal.Epoch{}, err
	}
	f.open().Undrained = closed.Durability != "sql"
	return f.append(journal.Epoch{Durability: closed.Durability, Mode: journal.ModeSQL, ReserveShare: closed.ReserveShare}), nil
}

func (f *fakeEpochs) Undrained(context.Context, uint8) (journal.Epoch, error) {
	err := f.call("undrained")
	defer f.mu.Unlock()
	if err != nil {
		return journal.Epoch{}, err
	}
	for _, e := range f.epochs {
		if e.Undrained {
			return e, nil
		}
	}
	return journal.Epoch{}, journal.ErrNoEpoch
}

func (f *fakeEpochs) Drained(_ context.Context, _ uint8, at journal.Offset) error {
	err := f.call("drained")
	defer f.mu.Unlock()
	if err != nil {
		return err
	}
	f.epochs[at.Epoch-1].Undrained = false
	f.note("drained %d", at.Epoch)
	return nil
}

func (f *fakeEpochs) Seen(_ context.Context, _ uint8, number int64, at time.Time) error {
	err := f.call("seen")
	defer f.mu.Unlock()
	if err == nil && number == int64(len(f.epochs)) {
		f.open().SeenAt = at
	}
	return err
}

// partialLine is a connection to Redis that can be cut.
type partialLine struct {
	addr  string
	mu    sync.Mutex
	isCut bool
	open  []net.Conn
}

func newPartialLine(t *testing.T, server string) *partialLine {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &partialLine{addr: listener.Addr().String()}
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut(true)
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			if backend, err := net.Dial("tcp", server); err == nil && l.keep(client, backend) {
				go func() { _, _ = io.Copy(client, backend); _ = client.Close() }()
				go func() { _, _ = io.Copy(backend, client); _ = backend.Close() }()
			}
		}
	}()
	return l
}

func (l *partialLine) cut(is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = is
	for _, c := range l.open {
		_ = c.Close()
	}
	l.open = nil
}

func (l *partialLine) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		if l.isCut {
			_ = c.Close()
		}
	}
	if !l.isCut {
		l.open = append(l.open, conns...)
	}
	return !l.isCut
}

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

// loadingRedis is a Redis that reads its data for long: it reports its identity, and refuses all other commands.
func loadingRedis(t *testing.T) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					reply, err := loadingReply(in)
					if err != nil {
						return
					}
					if _, err := io.WriteString(c, reply); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// loadingReply reads a command, an array of strings, and returns its reply.
func loadingReply(in *bufio.Reader) (string, error) {
	header, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.Trim(header, "*\r\n"))
	if err != nil {
		return "", err
	}
	args := make([]string, n)
	for i := range args {
		if _, err := in.ReadString('\n'); err != nil { // Its size; no string here has a line break.
			return "", err
		}
		text, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		args[i] = strings.TrimSpace(text)
	}
	switch strings.ToUpper(args[0]) {
	case "INFO":
		text := "run_id:r\r\nmaster_replid:m\r\nrole:master\r\nloading:1\r\n"
		return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text), nil
	case "HELLO":
		return "-ERR unknown command `HELLO`\r\n", nil
	case "CLIENT", "PING", "SELECT":
		return "+OK\r\n", nil
	}
	return "-LOADING Redis is loading the dataset in memory\r\n", nil
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
