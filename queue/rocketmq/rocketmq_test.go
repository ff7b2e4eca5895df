package rocketmq_test

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/queuetest"
	"github.com/spillway/spillway/queue/rocketmq"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuite(t *testing.T) {
	s := &server{dir: "/tmp/rmq/d1"}
	var topics, groups atomic.Int64
	if v, _ := strconv.Atoi(os.Getenv("FIRST")); v > 0 {
		topics.Store(int64(v))
		groups.Store(int64(v))
	}
	queuetest.Run(t, queuetest.Harness{
		Open: func(t testing.TB, _ map[string][]string) queue.Broker {
			b, err := rocketmq.New(rocketmq.Config{Endpoint: s.addr(), LeaseMin: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
		Topic: func(t testing.TB, n int) (string, []string) {
			names := make([]string, n)
			for i := range names {
				names[i] = fmt.Sprintf("g-%d", groups.Add(1)-1)
			}
			return fmt.Sprintf("test-%d", topics.Add(1)-1), names
		},
		UnknownGroup: func(t testing.TB) (string, func()) {
			name := fmt.Sprintf("late-%d", time.Now().UnixNano())
			return name, func() { s.createGroup(t, name) }
		},
		Lease:  2 * time.Second,
		Server: s,
	})
}

func BenchmarkQueue(b *testing.B) {
	s := &server{dir: "/tmp/rmq/d1"}
	var n atomic.Int64
	n.Store(30)
	queuetest.Bench(b, queuetest.Harness{
		Open: func(t testing.TB, _ map[string][]string) queue.Broker {
			br, err := rocketmq.New(rocketmq.Config{Endpoint: s.addr(), LeaseMin: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			return br
		},
		Topic: func(t testing.TB, _ int) (string, []string) {
			i := n.Add(1)
			return fmt.Sprintf("test-%d", i), []string{fmt.Sprintf("g-%d", i)}
		},
	})
}
