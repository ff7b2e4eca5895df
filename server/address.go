package server

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"connectrpc.com/connect"
)

// forwardedHeader lists the addresses that a request came through: each proxy appends that of its peer.
const forwardedHeader = "X-Forwarded-For"

// maxForwarded bounds the entries of the header that are looked at, from the right: more proxies than that are not in front of a shop.
const maxForwarded = 16

// ipv6Site is the length of the prefix that one IPv6 customer has for themselves.
const ipv6Site = 64

// clientAddress is the address of a request's client. A forwarded address counts only as far as trusted proxies vouch for it: it is the
// rightmost one that is not a trusted proxy's. Anybody can send the header, so that of an untrusted peer is ignored. An IPv6 address is cut
// to its /64. The result is invalid when the peer's address cannot be read.
func clientAddress(peer string, header http.Header, trusted []netip.Prefix) netip.Addr {
	addr := parseAddress(peer)
	if isTrusted(addr, trusted) {
		addr = forwardedAddress(addr, header.Values(forwardedHeader), trusted)
	}
	if addr.Is6() {
		site, err := addr.WithZone("").Prefix(ipv6Site)
		if err == nil {
			return site.Addr()
		}
	}
	return addr
}

// forwardedAddress follows the header's values from the right, beginning with proxy, which is trusted.
func forwardedAddress(proxy netip.Addr, values []string, trusted []netip.Prefix) netip.Addr {
	addr, entries := proxy, strings.Split(strings.Join(values, ","), ",")
	for i := len(entries) - 1; i >= max(0, len(entries)-maxForwarded) && isTrusted(addr, trusted); i-- {
		next := parseAddress(strings.TrimSpace(entries[i]))
		if !next.IsValid() {
			break // The last proxy that can be named stands for what is behind it.
		}
		addr = next
	}
	return addr
}

type addressKey struct{}

// addresses puts the address of the client into the context of each call.
func addresses(trusted []netip.Prefix) connect.Interceptor {
	return before(func(ctx context.Context, b begun) (context.Context, error) {
		return context.WithValue(ctx, addressKey{}, clientAddress(b.peer.Addr, b.header, trusted)), nil
	})
}

// addressFrom is the address of the client of a call; invalid when it is not known.
func addressFrom(ctx context.Context) netip.Addr {
	addr, _ := ctx.Value(addressKey{}).(netip.Addr)
	return addr
}

// parseAddress reads IP or IP:PORT.
func parseAddress(text string) netip.Addr {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap()
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}

func isTrusted(addr netip.Addr, trusted []netip.Prefix) bool {
	for _, p := range trusted {
		if p.Contains(addr.WithZone("")) {
			return true
		}
	}
	return false
}
