package journal

import (
	"errors"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
)

// TestEpochs_UnconfirmedForTooLong: a process that was stopped, and continues with its connections, must not use its epoch before a check has
// confirmed it: another process may have opened the next one on another Redis.
func TestEpochs_UnconfirmedForTooLong(t *testing.T) {
	conn, err := redisconn.Connect(redisconn.Config{Addr: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	e := NewEpochs(EpochsConfig{Conn: conn})
	e.adopt(Epoch{Number: 1}, time.Now().Add(-maxUnconfirmed-time.Second))
	if _, err := e.Current(); err != nil {
		t.Errorf("without Run, nothing would confirm it: %v", err)
	}
	e.running = true
	if _, err := e.Current(); !errors.Is(err, errUnconfirmed) || !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("unconfirmed for too long: %v; want errUnconfirmed and ErrUnavailable", err)
	}
	e.adopt(Epoch{Number: 1}, time.Now())
	if got, err := e.Wait(t.Context()); err != nil || got.Number != 1 {
		t.Errorf("after a check: %+v, %v; want epoch 1", got, err)
	}
}

// TestOutage_Pause: the pause between two attempts to reach Redis doubles, up to maxReconnect. While Redis is there it is checked once a second.
func TestOutage_Pause(t *testing.T) {
	for attempts, want := range []time.Duration{
		checkInterval, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond,
		3200 * time.Millisecond, maxReconnect, maxReconnect,
	} {
		if got := (outage{attempts: attempts}).pause(); got != want {
			t.Errorf("after %d failed attempts: %s; want %s", attempts, got, want)
		}
	}
	if got := (outage{attempts: 1_000_000}).pause(); got != maxReconnect {
		t.Errorf("after very many: %s; want %s", got, maxReconnect)
	}
}
