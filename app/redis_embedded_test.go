package app

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// redisTimeout bounds what takes a millisecond on an idle machine.
const redisTimeout = 10 * time.Second

// TestEmbeddedRedis_RefusesOtherUsers: everybody on the machine reaches its port, and nobody but the shop may use it.
func TestEmbeddedRedis_RefusesOtherUsers(t *testing.T) {
	cfg := DefaultConfig(RoleAll)
	cfg.SQL.DataDir, cfg.HTTP.Listen, cfg.Admin.Listen = t.TempDir(), "127.0.0.1:0", ""
	var log bytes.Buffer
	a, err := Open(t.Context(), cfg, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	nodes := slices.Collect(maps.Keys(a.deps.redis.Client().Nodes()))
	if len(nodes) != 1 {
		t.Fatalf("the client knows %v", nodes)
	}
	for _, commands := range [][][]string{
		{{"KEYS", "*"}}, {{"FLUSHALL"}}, {{"AUTH", "guess"}, {"KEYS", "*"}}, {{"AUTH", ""}, {"KEYS", "*"}}, {{"AUTH", "default", ""}, {"KEYS", "*"}},
	} {
		replies := converse(t, nodes[0], commands)
		for _, reply := range replies {
			if !strings.HasPrefix(reply, "-") {
				t.Errorf("%q was answered by %q", commands, replies)
			}
		}
	}
	if err := a.deps.redis.Client().Do(t.Context(), a.deps.redis.Client().B().Ping().Build()).Error(); err != nil {
		t.Errorf("the shop itself: %v", err)
	}
}

// converse sends the commands on a new connection, and returns the first line of each reply.
func converse(t *testing.T, addr string, commands [][]string) (replies []string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, redisTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(redisTimeout)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	for _, words := range commands {
		text := fmt.Sprintf("*%d\r\n", len(words))
		for _, w := range words {
			text += fmt.Sprintf("$%d\r\n%s\r\n", len(w), w)
		}
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("%v: %v", words, err)
		}
		replies = append(replies, line)
	}
	return replies
}
