package redisconn

import (
	"bufio"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/spillway/spillway/test/realparts"
)

// fakeInfo is a Redis that replies to each INFO with the text.
func fakeInfo(t *testing.T, text string) (addr string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			for lines := bufio.NewScanner(conn); lines.Scan(); {
				if lines.Text() == "server" { // The last line of the command.
					_, _ = fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(text), text)
				}
			}
			_ = conn.Close()
		}
	}()
	return l.Addr().String()
}

func started(t *testing.T, addr string) (time.Time, error) {
	t.Helper()
	c, err := Connect(Config{Addr: addr})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Started(t.Context())
}

func TestConn_Started(t *testing.T) {
	t.Parallel()
	before := time.Now()
	redis := realparts.StartRedis(t)
	if at, err := started(t, redis.Addr()); err != nil || at.Before(before.Add(-time.Second)) || at.After(time.Now()) {
		t.Errorf("a new one: %v, %v; want since %v", at, err, before)
	}
	if at, err := started(t, fakeInfo(t, "run_id:a\r\nuptime_in_seconds:3600\r\n")); err != nil || time.Since(at).Round(time.Minute) != time.Hour {
		t.Errorf("one of an hour ago: %v, %v", at, err)
	}
	if at, err := started(t, fakeInfo(t, "run_id:a\r\n")); err != nil || !at.IsZero() {
		t.Errorf("one that does not report it: %v, %v; want the zero time", at, err)
	}
	redis.Kill9()
	if _, err := started(t, redis.Addr()); err == nil {
		t.Error("one that is gone has a time")
	}
}
