package redisstream_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/rueidis"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/queuetest"
	"github.com/spillway/spillway/queue/redisstream"
	"github.com/spillway/spillway/test/leaks"
	"github.com/spillway/spillway/test/realparts"
)

func TestMain(m *testing.M) { leaks.Verify(m) }

// server is a private Redis of the suite.
type server struct{ *realparts.Proc }

func (s server) Kill(testing.TB)    { s.Kill9() }
func (s server) Restart(testing.TB) { s.Proc.Restart() }
func (s server) Freeze(testing.TB)  { s.Pause() }
func (s server) Thaw(testing.TB)    { s.Resume() }

func TestBroker_SuiteOnRedis(t *testing.T) {
	s := server{realparts.StartRedis(t)}
	queuetest.Run(t, harness(s.Addr(), s))
}

func TestBroker_SuiteOnMiniredis(t *testing.T) {
	// A miniredis that was closed serves no blocking command after its restart, so its connections are cut instead.
	proxy := queuetest.NewProxy(t, realparts.FreeAddr(t), miniredis.RunT(t).Addr())
	queuetest.Run(t, harness(proxy.Addr(), proxy))
}

func harness(addr string, server queuetest.Server) queuetest.Harness {
	var n atomic.Int64
	return queuetest.Harness{
		Open: func(t testing.TB, topics map[string][]string) queue.Broker {
			return open(t, connect(t, addr), redisstream.Config{Topics: topics})
		},
		Topic: func(_ testing.TB, groups int) (string, []string) {
			names := make([]string, groups)
			for i := range names {
				names[i] = fmt.Sprintf("group-%d", i)
			}
			return fmt.Sprintf("topic-%d", n.Add(1)), names
		},
		Lease:  time.Second,
		Server: server,
	}
}

// connect makes a client. rueidis may return an error with it while the server is down; the client works once the
// server is up.
func connect(t testing.TB, addr string) rueidis.Client {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{addr}, ForceSingleClient: true, DisableCache: true, AlwaysPipelining: true,
		ConnWriteTimeout: 2 * time.Second,
	})
	if client == nil {
		t.Fatalf("make a client for %s: %v", addr, err)
	}
	t.Cleanup(client.Close)
	return client
}

func open(t testing.TB, client rueidis.Client, cfg redisstream.Config) *redisstream.Broker {
	t.Helper()
	b, err := redisstream.New(client, cfg)
	if err != nil {
		t.Fatalf("make a broker: %v", err)
	}
	return b
}

func BenchmarkQueue(b *testing.B) {
	s := server{realparts.StartRedis(b)}
	queuetest.Bench(b, harness(s.Addr(), s))
}
