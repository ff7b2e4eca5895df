package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestWindowLimit_OpensAgainAndCountsAlone(t *testing.T) {
	shared := &sharedCounter{err: errors.New("redis is unavailable")}
	l := newWindowLimit("test", 2, time.Minute, shared, discardLog)
	now := time.Unix(0, 0)
	l.now = func() time.Time { return now }
	if l.take(t.Context(), "k")+l.take(t.Context(), "k") != 0 {
		t.Error("the first events are refused")
	}
	if after := l.take(t.Context(), "k"); after != time.Minute {
		t.Errorf("the third one may come after %s, want a minute", after)
	}
	if l.take(t.Context(), "other") != 0 {
		t.Error("another key is refused")
	}
	now = now.Add(time.Minute)
	if l.take(t.Context(), "k") != 0 {
		t.Error("refused after the window")
	}
}

// TestWindowLimit_KeysAreBounded: keys that have reached the limit are kept as long as others can be forgotten.
func TestWindowLimit_KeysAreBounded(t *testing.T) {
	l := newWindowLimit("test", 2, time.Minute, nil, discardLog)
	l.count(t.Context(), "full")
	l.count(t.Context(), "full")
	for i := range maxWindowKeys + 10 {
		l.count(t.Context(), fmt.Sprint(i))
	}
	if len(l.counts) > maxWindowKeys || l.full("full") == 0 {
		t.Errorf("%d keys; the full one is open for %s", len(l.counts), l.full("full"))
	}
}

// TestSessionLimit_ProcessesShareIt: what one process let an address start counts in another one.
func TestSessionLimit_ProcessesShareIt(t *testing.T) {
	shared := &sharedCounter{}
	limited := func(c *Config) {
		c.Sessions = SessionLimit{PerMinute: 3, Shared: shared, Log: discardLog}
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	}
	a, b := startServer(t, allServices(t), limited), startServer(t, allServices(t), limited)
	started := 0
	for i := range 20 {
		e := []*edgeFixture{a, b}[i%2]
		if status, _, body := e.post(t, startSession, "", "{}", forwardedHeader, "198.51.100.1"); status != http.StatusTooManyRequests {
			started++
		} else if !strings.Contains(body, "sessions_per_address") {
			t.Fatal(body)
		}
	}
	if started != 3 {
		t.Errorf("one address started %d sessions in two processes, want 3", started)
	}
	if status, _, body := b.post(t, startSession, "", "{}", forwardedHeader, "198.51.100.2"); status == http.StatusTooManyRequests {
		t.Errorf("another address: %s", body)
	}
}
