package stock_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/test/realparts"
)

func length(t *testing.T, c rueidis.Client, stream string) int64 {
	t.Helper()
	n, err := c.Do(t.Context(), c.B().Xlen().Key(stream).Build()).AsInt64()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// forward passes connections on to the address that target holds when they are opened, as a virtual IP or a Kubernetes service does.
func forward(t *testing.T, target *atomic.Value) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			to, _ := target.Load().(string)
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			pass := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				_, _ = to.Close(), from.Close()
			}
			go pass(in, out)
			go pass(out, in)
		}
	}()
	return l.Addr().String()
}

// TestEpochs_AddressMovedWhileConnectionsStay: the old Redis lives on, cut off from the others, and this process' connections to it with
// it. They must not be used any more once another instance has the shop.
func TestEpochs_AddressMovedWhileConnectionsStay(t *testing.T) {
	first, second := realparts.StartRedis(t), realparts.StartRedis(t)
	b := admin(t, second.Addr())
	var target atomic.Value
	target.Store(first.Addr())
	addr := forward(t, &target)
	s := openShop(t, redisconn.Config{Addr: addr}, stock.DefaultLimits(), map[order.SKU]int64{"A": 10})
	s.mustReserve(t, request("k1", units("A", 1)))
	s.flushAll(t)
	replicate(t, b, first.Addr())
	command(t, b, "REPLICAOF", "NO", "ONE")
	target.Store(second.Addr())

	eventually(t, "an epoch on the other instance", func() bool { return s.epochs.Check(t.Context()) == nil })
	opened, err := s.epochs.Current()
	if err != nil {
		t.Fatal(err)
	}
	s.mustReserve(t, request("k2", units("A", 2)))
	if held := length(t, b, s.keys.Journal(opened.Number)); held != 1 {
		t.Errorf("the other instance's journal of epoch %d has %d entries; want 1", opened.Number, held)
	}
	s.flushAll(t)
	s.wantLeft(t, "A", 7)
}
