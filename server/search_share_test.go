package server

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/spillway/spillway/order"
)

// TestSearch_OneAddressLeavesPlacesToOthers: searches of one address beyond its share are refused while another address is served.
func TestSearch_OneAddressLeavesPlacesToOthers(t *testing.T) {
	const attacker, other = "198.51.100.1", "198.51.100.2"
	b := fakeBlockedServices{class: ClassSearch, entered: make(chan struct{}), leave: make(chan struct{})}
	e := startServer(t, Services{Catalog: blockedCatalog{fakeBlockedServices: b}}, func(c *Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	share := DefaultLimits()[ClassSearch] / searchShare
	search := func(from string) (int, http.Header, string) {
		return e.post(t, probes[ClassSearch].procedure, "", probes[ClassSearch].body, forwardedHeader, from)
	}
	done := make(chan struct{}, share+1)
	begin := func(from string) {
		go func() {
			defer func() { done <- struct{}{} }()
			if status, _, body := search(from); status != http.StatusOK {
				t.Errorf("a search from %s: %d %s", from, status, body)
			}
		}()
		await(t, "a search", b.entered)
	}
	for range share {
		begin(attacker)
	}
	status, header, body := search(attacker)
	if status != http.StatusTooManyRequests || !strings.Contains(body, string(order.LimitAddressSearches)) || header.Get("Retry-After") == "" {
		t.Errorf("one search too many of an address: %d %s", status, body)
	}
	begin(other)
	close(b.leave)
	for range share + 1 {
		await(t, "the end of a search", done)
	}
}
