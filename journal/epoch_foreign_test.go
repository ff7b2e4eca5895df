package journal_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/pause"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/test/realparts"
)

// decided checks until it is known whether the epoch is in use elsewhere.
func (k keeper) decided() error {
	k.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := k.Check(k.t.Context())
		if !errors.Is(err, journal.ErrUndecided) {
			return err
		}
		if time.Now().After(deadline) {
			k.t.Fatal("undecided for 30 s")
		}
		if err := pause.For(k.t.Context(), 100*time.Millisecond); err != nil {
			k.t.Fatal(err)
		}
	}
}

// confirm checks again and again, as Run does, until stop; it returns what the checks returned.
func (k keeper) confirm() (stop func() error) {
	end, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		var all error
		for {
			select {
			case <-end:
				ended <- all
				return
			case <-time.After(200 * time.Millisecond):
				all = errors.Join(all, k.Check(k.t.Context()))
			}
		}
	}()
	return func() error { close(end); return <-ended }
}

// otherRedis starts a Redis, and returns when it was started well before now.
func otherRedis(t *testing.T) (addr string) {
	t.Helper()
	addr = realparts.StartRedis(t).Addr()
	conn, err := redisconn.Connect(redisconn.Config{Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for {
		started, err := conn.Started(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if time.Since(started) > 3*time.Second { // It is known to a second.
			return addr
		}
		if err := pause.For(t.Context(), 100*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEpochs_OtherPlace: a process in another namespace, or with another Redis, does not close the epoch that others use. When they have stopped, it does.
func TestEpochs_OtherPlace(t *testing.T) {
	for name, other := range map[string]func(t *testing.T, namespace string) (addr, otherNamespace string){
		"namespace": func(t *testing.T, namespace string) (string, string) {
			t.Helper()
			return realparts.Redis(t), namespace + "-2"
		},
		"Redis": func(t *testing.T, namespace string) (string, string) { t.Helper(); return otherRedis(t), namespace },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, namespace := &fakeEpochs{}, "test-"+rand.Text()
			addr, otherNamespace := other(t, namespace)
			first := newKeeper(t, realparts.Redis(t), namespace, "journal", st)
			first.finds(1, journal.ModeRedis)
			stop := first.confirm()
			second := newKeeper(t, addr, otherNamespace, "journal", st)
			if err := second.decided(); !errors.Is(err, journal.ErrElsewhere) {
				t.Errorf("while the other one is on the epoch: %v; want ErrElsewhere", err)
			}
			if err := stop(); err != nil {
				t.Errorf("the other one: %v", err)
			}
			if got := st.steps(); !slices.Equal(got, []string{"open 1 in redis"}) {
				t.Errorf("done: %v", got)
			}
			for errors.Is(second.decided(), journal.ErrElsewhere) {
				if err := pause.For(t.Context(), 100*time.Millisecond); err != nil {
					t.Fatal(err)
				}
			}
			second.finds(2, journal.ModeRedis)
			if err := first.Check(t.Context()); !errors.Is(err, journal.ErrUndecided) {
				t.Errorf("the first one, when it comes back: %v; want ErrUndecided", err)
			}
		})
	}
}
