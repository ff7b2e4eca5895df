package redisconn

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spillway/spillway/test/realparts"
)

// testWait bounds one command of a test.
const testWait = 60 * time.Second

// connect returns a connection to the shared Redis, and its identity.
func connect(tb testing.TB) (c *Conn, instance string) {
	tb.Helper()
	c, err := Connect(Config{Addr: realparts.Redis(tb)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	if instance, err = c.Instance(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return c, instance
}

// ping sends one command.
func ping(tb testing.TB, c *Conn) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), testWait)
	defer cancel()
	return c.client.Do(ctx, c.client.B().Ping().Build()).Error()
}

// accepted returns the connections that the fence has accepted and that are open.
func (f *fence) accepted() (out []*fencedConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.open {
		out = append(out, c)
	}
	return out
}

// eventually waits until the condition holds, for at most testWait.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline, tick := time.After(testWait), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited %s for %s", testWait, what)
		case <-tick.C:
		}
	}
}

func TestConn_ConcurrentCommandsShareOneConnection(t *testing.T) {
	c, instance := connect(t)
	c.Allow(instance)
	var callers sync.WaitGroup
	for range 100 {
		callers.Go(func() {
			if err := ping(t, c); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if n := len(c.fence.accepted()); n != 1 {
		t.Errorf("100 concurrent commands have %d connections; want 1", n)
	}
}

// TestConn_BlockingCommandDoesNotHoldUpOthers checks that a blocking read has a connection of its own, which the fence has checked too.
func TestConn_BlockingCommandDoesNotHoldUpOthers(t *testing.T) {
	c, instance := connect(t)
	c.Allow(instance)
	key, blocked := "test-"+rand.Text(), make(chan error, 1)
	go func() {
		blocked <- c.client.Do(t.Context(), c.client.B().Blpop().Key(key).Timeout(testWait.Seconds()).Build()).Error()
	}()
	eventually(t, "the connection of the blocking read", func() bool { return len(c.fence.accepted()) > 0 })
	for range 10 {
		if err := ping(t, c); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-blocked:
		t.Fatalf("the blocking read ended before its element was pushed: %v", err)
	default:
	}
	if n := len(c.fence.accepted()); n != 2 {
		t.Errorf("%d accepted connections; want one for commands and one for the blocking read", n)
	}
	if err := c.client.Do(t.Context(), c.client.B().Lpush().Key(key).Element("x").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if err := <-blocked; err != nil {
		t.Errorf("the blocking read: %v", err)
	}
}

// TestConn_FenceChecksTheSharedConnectionAgain checks that commands fail once the shared connection has to be dialled again while another
// instance is allowed (I3), and that they pass again when the instance is allowed again.
func TestConn_FenceChecksTheSharedConnectionAgain(t *testing.T) {
	c, instance := connect(t)
	if err := ping(t, c); !errors.Is(err, ErrInstance) {
		t.Errorf("before an instance is allowed: %v; want ErrInstance", err)
	}
	c.Allow(instance)
	if err := ping(t, c); err != nil {
		t.Fatal(err)
	}
	id, replid, _ := strings.Cut(instance, instanceSeparator)
	for name, other := range map[string]string{
		"restarted": "another" + instanceSeparator + replid,
		"promoted":  id + instanceSeparator + "another",
	} {
		c.Allow(other)
		for _, open := range c.fence.accepted() {
			_ = open.Close()
		}
		// The first commands may still be written to the closed connection and fail for that reason; none may succeed.
		eventually(t, name+": ErrInstance from a command", func() bool {
			err := ping(t, c)
			if err == nil {
				t.Fatalf("%s: a command passed; want ErrInstance", name)
			}
			return errors.Is(err, ErrInstance)
		})
		if n := len(c.fence.accepted()); n != 0 {
			t.Errorf("%s: %d connections to an instance that is not allowed", name, n)
		}
		c.Allow(instance)
		if err := ping(t, c); err != nil {
			t.Errorf("%s, and allowed again: %v", name, err)
		}
	}
}

// BenchmarkClient measures one command of a lone caller, and of 64 concurrent ones. cpu-ns/op is the processor time of this process, which
// depends less than the time on what else runs on the machine.
func BenchmarkClient(b *testing.B) {
	c, instance := connect(b)
	c.Allow(instance)
	get := func() {
		if err := c.client.Do(b.Context(), c.client.B().Getrange().Key("bench").Start(0).End(1).Build()).Error(); err != nil {
			b.Error(err)
		}
	}
	b.Run("alone", func(b *testing.B) {
		before := cpuTime(b)
		for b.Loop() {
			get()
		}
		b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	})
	b.Run("64 callers", func(b *testing.B) {
		before := cpuTime(b)
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				get()
			}
		})
		b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	})
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
