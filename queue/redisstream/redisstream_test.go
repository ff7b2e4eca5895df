package redisstream_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/queuetest"
	"github.com/spillway/spillway/queue/redisstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuiteOnRedis(t *testing.T) {
	server := startReal(t)
	queuetest.Run(t, harness(server.addr(), server))
}

func TestSuiteOnMiniredis(t *testing.T) {
	// A miniredis that was closed answers no blocking command after its restart, so its connections are cut instead.
	proxy := queuetest.NewProxy(t, miniredis.RunT(t).Addr())
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

// connect makes a client. It may come with an error when the server is down, and works once it is up.
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
	server := startReal(b)
	queuetest.Bench(b, harness(server.addr(), server))
}
