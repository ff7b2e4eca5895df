package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/order"
)

const (
	// maxRequests bounds the requests of HTTP/2 that one port has in progress, of some 15 kB each while they are half-sent: 250 MB together. It is more
	// than all watchers and all calls that are admitted.
	maxRequests = 16_384
	// smallBodyBytes is what each request may send: an order of 100 lines has about 6 kB.
	smallBodyBytes = 8 << 10
	// maxLargeBodies bounds the requests with a larger body that one port has in progress, of up to 140 kB each: 70 MB together.
	maxLargeBodies = 512
)

// requestLimit bounds what the requests of a port hold before a token is looked at, in all and for each client address: those of HTTP/2, of which one
// connection carries maxStreams, so that the bounds of connections would leave a client a million half-sent ones, and those with large bodies.
type requestLimit struct {
	next    http.Handler
	errs    rpcErrors
	streams *shares
	large   *shares // nil: no bound
	trusted []netip.Prefix
}

// limitRequests bounds the requests of a listener that LimitConns returned. Others have no bound.
func limitRequests(l net.Listener, next http.Handler) http.Handler {
	bounded, ok := l.(*boundedListener)
	if !ok {
		return next
	}
	limits := bounded.limits
	r := &requestLimit{next: next, errs: newRPCErrors(), trusted: limits.Trusted}
	r.streams = newShares(limits.Requests, limits.RequestsPerAddress, limits.Trusted)
	if limits.LargeBodies > 0 {
		r.large = newShares(limits.LargeBodies, limits.LargeBodiesPerAddress, limits.Trusted)
	}
	return r
}

// ServeHTTP serves the request, or refuses it before anything of its body is read. One with a large body may be refused later.
func (l *requestLimit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	multiplexed, large := r.ProtoMajor > 1, l.large != nil && (r.ContentLength < 0 || r.ContentLength > smallBodyBytes)
	if !multiplexed && !large {
		l.next.ServeHTTP(w, r)
		return
	}
	addr := clientAddress(r.RemoteAddr, r.Header, l.trusted)
	if multiplexed {
		if maximum, ok := l.streams.enter(addr); !ok {
			l.errs.write(w, r, tooManyRequests("requests", "requests on connections of HTTP/2", maximum), http.StatusTooManyRequests)
			return
		}
		defer l.streams.leave(addr)
	}
	if large {
		body := &largeBody{ReadCloser: r.Body, ctx: r.Context(), addr: addr, bodies: l.large}
		defer body.release()
		r.Body = body
	}
	l.next.ServeHTTP(w, r)
}

// largeBody is a body that may have more than smallBodyBytes, which takes a share of its address.
type largeBody struct {
	io.ReadCloser

	ctx    context.Context //nolint:containedctx // That of the request, which the body belongs to.
	addr   netip.Addr
	bodies *shares
	read   int
	taken  bool
}

// Read fails if the body is large and there are too many of them.
func (b *largeBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.read += n; b.read <= smallBodyBytes || b.taken {
		return n, err
	}
	maximum, ok := b.bodies.enter(b.addr)
	if !ok {
		what := "requests of more than " + strconv.Itoa(smallBodyBytes) + " bytes"
		return 0, tooManyRequests("large_requests", what, maximum).connectError(b.ctx)
	}
	b.taken = true
	return n, err
}

// release returns the share. The handler has returned.
func (b *largeBody) release() {
	if b.taken {
		b.bodies.leave(b.addr)
	}
}

func tooManyRequests(limit, what string, maximum int) refusal {
	most := strconv.Itoa(maximum)
	return refusal{
		code: connect.CodeResourceExhausted, reason: order.ReasonTooManyCalls, retry: defaultRetryDelay,
		text:     most + " " + what + " are in progress, which is the limit of this server or of your address; send it again later",
		metadata: map[string]string{metaLimit: limit, "maximum": most},
	}
}
