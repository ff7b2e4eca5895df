package server

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/order"
)

// maxRequests bounds the requests of HTTP/2 that one port has in progress, of some 15 kB each while they are half-sent: 250 MB together. It is more than
// all watchers and all calls that are admitted.
const maxRequests = 16_384

// requestLimit bounds the requests of HTTP/2 that are in progress, in all and for each client address. One connection carries maxStreams of them, so that
// the bounds of connections would leave a client a million half-sent requests.
type requestLimit struct {
	next   http.Handler
	limits ConnLimits
	errs   rpcErrors

	mu    sync.Mutex
	total int
	from  map[netip.Addr]int
}

// limitRequests bounds the requests of a listener that LimitConns returned. Others have no bound.
func limitRequests(l net.Listener, next http.Handler) http.Handler {
	bounded, ok := l.(*boundedListener)
	if !ok {
		return next
	}
	return &requestLimit{next: next, limits: bounded.limits, errs: newRPCErrors(), from: make(map[netip.Addr]int)}
}

// ServeHTTP serves the request, or refuses it before anything of its body is read.
func (l *requestLimit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor < 2 {
		l.next.ServeHTTP(w, r)
		return
	}
	addr := clientAddress(r.RemoteAddr, r.Header, l.limits.Trusted)
	if maximum, ok := l.enter(addr); !ok {
		l.errs.write(w, r, tooManyRequests(maximum), http.StatusTooManyRequests)
		return
	}
	defer l.leave(addr)
	l.next.ServeHTTP(w, r)
}

// enter counts a request, or returns the maximum that is reached. A trusted proxy that names no client, and a peer without an address, have no share.
func (l *requestLimit) enter(addr netip.Addr) (maximum int, ok bool) {
	shared := l.shared(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= l.limits.Requests {
		return l.limits.Requests, false
	}
	if shared {
		if l.from[addr] >= l.limits.RequestsPerAddress {
			return l.limits.RequestsPerAddress, false
		}
		l.from[addr]++
	}
	l.total++
	return 0, true
}

func (l *requestLimit) leave(addr netip.Addr) {
	shared := l.shared(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if shared {
		decrement(l.from, addr)
	}
}

// shared reports whether the address has a share.
func (l *requestLimit) shared(addr netip.Addr) bool { return addr.IsValid() && !isTrusted(addr, l.limits.Trusted) }

func tooManyRequests(maximum int) refusal {
	most := strconv.Itoa(maximum)
	return refusal{
		code: connect.CodeResourceExhausted, reason: order.ReasonTooManyCalls, retry: defaultRetryDelay,
		text:     most + " requests are in progress on connections of HTTP/2, which is the limit of this server or of your address; send it again later",
		metadata: map[string]string{metaLimit: "requests", "maximum": most},
	}
}
