package stock_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/redisconn"
)

// restartingRedis replies to INFO with another run_id on each connection, as a Redis that is restarted again and again.
func restartingRedis(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var instances atomic.Int64
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go replyInfo(conn, instances.Add(1))
		}
	}()
	return l.Addr().String()
}

func replyInfo(conn net.Conn, instance int64) {
	defer conn.Close()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if !strings.EqualFold(lines.Text(), "server") && !strings.EqualFold(lines.Text(), "replication") {
			continue // The other parts of *2 $4 INFO $6 server.
		}
		info := fmt.Sprintf("run_id:%d\r\nrole:master\r\nmaster_replid:%d\r\n", instance, instance)
		_, _ = fmt.Fprintf(conn, "$%d\r\n%s\r\n", len(info), info)
	}
}

// rebuildAbortMax is far below the time limit of a rebuild, which the client's own retries would use up, and far above what one takes.
const rebuildAbortMax = 20 * time.Second

// TestEpochs_RedisRestartedDuringRebuild: the rebuild is cancelled at once, to start again on the new instance.
func TestEpochs_RedisRestartedDuringRebuild(t *testing.T) {
	r, err := redisconn.Connect(redisconn.Config{Addr: restartingRedis(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	epochs := journal.NewEpochs(journal.EpochsConfig{
		Keys: journal.Keys{Namespace: "test"}, Conn: r, Store: &fakeStore{}, Durability: "journal", Log: slog.New(slog.DiscardHandler),
	})
	began := time.Now()
	if err := epochs.Check(t.Context()); err == nil {
		t.Error("an epoch was opened on a Redis that is another one for each connection")
	}
	if took := time.Since(began); took > rebuildAbortMax {
		t.Errorf("the rebuild was given up after %s; want at once", took)
	}
}
