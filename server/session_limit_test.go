package server

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

const startSession = spillwayv1connect.SessionServiceStartGuestSessionProcedure

func TestClientAddress_Proxies(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, c := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"no proxy":                         {"203.0.113.7:4711", nil, "203.0.113.7"},
		"header of an untrusted peer":      {"203.0.113.7:4711", []string{"198.51.100.1"}, "203.0.113.7"},
		"behind a proxy":                   {"10.1.2.3:80", []string{"198.51.100.1"}, "198.51.100.1"},
		"behind two proxies":               {"10.1.2.3:80", []string{"198.51.100.1, 10.9.9.9"}, "198.51.100.1"},
		"invented entries before the real": {"10.1.2.3:80", []string{"1.1.1.1, 2.2.2.2, 198.51.100.1"}, "198.51.100.1"},
		"two headers":                      {"10.1.2.3:80", []string{"1.1.1.1", "198.51.100.1"}, "198.51.100.1"},
		"entry with a port":                {"10.1.2.3:80", []string{"198.51.100.1:5555"}, "198.51.100.1"},
		"no address in the entry":          {"10.1.2.3:80", []string{"198.51.100.1, unknown"}, "10.1.2.3"},
		"empty header":                     {"10.1.2.3:80", []string{""}, "10.1.2.3"},
		"IPv6 by its site":                 {"[2001:db8:1:2:3:4:5:6]:80", nil, "2001:db8:1:2::"},
		"IPv6 behind an IPv6 proxy":        {"[fd00::1]:80", []string{"[2001:db8:1:2::9]:1"}, "2001:db8:1:2::"},
		"IPv4 as IPv6":                     {"[::ffff:203.0.113.7]:80", nil, "203.0.113.7"},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			for _, f := range c.forwarded {
				h.Add(forwardedHeader, f)
			}
			if got := clientAddress(c.peer, h, trusted).String(); got != c.want {
				t.Errorf("got %s; want %s", got, c.want)
			}
		})
	}
	if got := clientAddress("a pipe", http.Header{}, trusted); got.IsValid() {
		t.Errorf("a peer without address is %s", got)
	}
}

func TestSessionLimit_OneAddressCannotStartManySessions(t *testing.T) {
	e := startServer(t, allServices(t), func(c *Config) {
		c.Sessions, c.TrustedProxies = SessionLimit{PerMinute: 3}, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	start := func(token, from string) (int, http.Header, string) {
		t.Helper()
		return e.post(t, startSession, token, "{}", forwardedHeader, from)
	}
	limited := func(status int, header http.Header, body string) bool {
		return status == http.StatusTooManyRequests && strings.Contains(body, "sessions_per_address") && header.Get("Retry-After") != ""
	}
	for i := range 3 {
		if limited(start("", "198.51.100.1")) {
			t.Errorf("session %d of 3 is refused", i+1)
		}
	}
	if status, header, body := start("", "198.51.100.1"); !limited(status, header, body) {
		t.Errorf("session 4 of 3: %d %s", status, body)
	}
	if limited(start("", "198.51.100.2")) {
		t.Error("another address is refused")
	}
	if limited(start(e.token(t, "op", auth.Operator), "198.51.100.1")) {
		t.Error("an operator is refused")
	}
	if status, _, body := e.post(t, spillwayv1connect.CatalogServiceListProductsProcedure, "", "{}", forwardedHeader, "198.51.100.1"); status == http.StatusTooManyRequests {
		t.Errorf("another procedure is refused: %s", body)
	}
}

func TestBuckets_RefillAndForget(t *testing.T) {
	now, a, b, c := time.Unix(0, 0), netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("2.2.2.2"), netip.MustParseAddr("3.3.3.3")
	k := newBuckets[netip.Addr](2, 2)
	if k.take(a, now)+k.take(a, now) != 0 {
		t.Error("the burst is refused")
	}
	if wait := k.take(a, now); wait != 30*time.Second {
		t.Errorf("the next is after %s; want 30s", wait)
	}
	if wait := k.take(a, now.Add(30*time.Second)); wait != 0 {
		t.Errorf("after 30s the wait is %s", wait)
	}
	if wait := k.take(a, now.Add(-time.Hour)); wait != 30*time.Second {
		t.Errorf("a clock that went back gives a wait of %s", wait)
	}
	k.take(b, now)
	k.take(c, now) // Forgets a, which was used longest ago.
	if len(k.byKey) != 2 || k.recent.Len() != 2 || k.byKey[a] != nil {
		t.Errorf("%d addresses are remembered; want 2 and not the oldest", len(k.byKey))
	}
}
