package stock_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/stock"
)

// TestJournal_LargeReadsHaveTheirOwnConnections: a batch of large orders must not hold up the replies of reservations, which share one
// connection.
func TestJournal_LargeReadsHaveTheirOwnConnections(t *testing.T) {
	m := miniredis.RunT(t)
	var mu sync.Mutex
	peers := make(map[string][]*server.Peer)
	m.Server().SetPreHook(func(c *server.Peer, cmd string, _ ...string) bool {
		mu.Lock()
		defer mu.Unlock()
		peers[strings.ToUpper(cmd)] = append(peers[strings.ToUpper(cmd)], c)
		return false
	})
	s := openShop(t, redisconn.Config{Addr: m.Addr(), Embedded: true}, stock.DefaultLimits(), map[order.SKU]int64{"A": 9})
	placed := request("k", units("A", 1))
	s.mustReserve(t, placed)
	mu.Lock()
	hot := slices.Concat(peers["EVAL"], peers["EVALSHA"])
	mu.Unlock()
	if len(hot) == 0 {
		t.Fatal("no script was run")
	}
	snapshots := stock.NewSnapshots(s.keys.Keys, s.redis, stubPermit{})
	for command, read := range map[string]func(ctx context.Context) error{
		"XRANGE": func(ctx context.Context) error {
			_, err1 := s.journal.Read(ctx, 1, "0-0", 10)
			_, err2 := s.journal.ReadRemaining(ctx, 1, "0-0", 10)
			return errors.Join(err1, err2)
		},
		"XREADGROUP": func(ctx context.Context) error {
			first, err1 := s.journal.Next(ctx, 1, "relay", 10, 0) // It makes the group, unless there is one.
			got, err2 := s.journal.Next(ctx, 1, "relay", 10, 0)
			if len(first)+len(got) != 1 {
				t.Errorf("the relay received %v and %v; want one entry", first, got)
			}
			return errors.Join(err1, err2)
		},
		"XAUTOCLAIM": func(ctx context.Context) error { _, err := s.journal.Claim(ctx, 1, "other", time.Hour, 10); return err },
		"HGET": func(ctx context.Context) error {
			_, err := snapshots.Snapshots(ctx, []order.ID{placed.OrderID, placed.OrderID})
			return err
		},
	} {
		mu.Lock()
		clear(peers)
		mu.Unlock()
		if err := read(t.Context()); err != nil {
			t.Errorf("%s: %v", command, err)
		}
		mu.Lock()
		used := slices.Clone(peers[command])
		mu.Unlock()
		if len(used) == 0 || slices.ContainsFunc(used, func(p *server.Peer) bool { return slices.Contains(hot, p) }) {
			t.Errorf("%s was sent %d times, over the connection of reservations; want a connection of its own", command, len(used))
		}
	}
}
