package server

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/spillway/spillway/throttle"
)

// ConnLimits bound the connections of a port, and what HTTP/2 multiplexes on them, before anything of a request's body is read.
type ConnLimits struct {
	// All is how many connections are open at once. Beyond it a new one waits in the kernel until another one ends.
	All int
	// PerAddress is how many of them one client address has, an IPv6 client with its /64. Beyond it a new one is closed at once.
	PerAddress int
	// Requests is how many requests of HTTP/2 are in progress at once, and RequestsPerAddress how many of one client address. Those beyond are refused at
	// once. A connection of HTTP/1.1 has one request, so that the bounds of connections hold for them.
	Requests, RequestsPerAddress int
	// LargeBodies is how many requests with a body of more than smallBodyBytes are in progress at once, and LargeBodiesPerAddress how many of one client
	// address. 0 is no bound.
	LargeBodies, LargeBodiesPerAddress int
	// Trusted proxies have connections of many clients, and no bound of their own. Their requests are those of the clients that they name.
	Trusted []netip.Prefix
}

// connShare is the part of all connections, and of all requests, that one client address may have.
const connShare = 4

// NewConnLimits returns the limits of a port with so many connections at once.
func NewConnLimits(all int, trusted []netip.Prefix) ConnLimits {
	return ConnLimits{
		All: all, PerAddress: max(1, all/connShare), Requests: maxRequests, RequestsPerAddress: maxRequests / connShare,
		LargeBodies: maxLargeBodies, LargeBodiesPerAddress: maxLargeBodies / connShare, Trusted: trusted,
	}
}

// NewInternalConnLimits returns the limits of a port whose few clients are processes of the shop: one address may have everything. Their token is looked at
// before their bodies are read.
func NewInternalConnLimits(all int) ConnLimits {
	return ConnLimits{All: all, PerAddress: all, Requests: maxRequests, RequestsPerAddress: maxRequests}
}

// LimitConns returns a listener that bounds the connections of l. What it refuses is logged once a minute. The limits of l must be positive.
func LimitConns(l net.Listener, limits ConnLimits, log *slog.Logger) net.Listener {
	return &boundedListener{
		Listener: l, limits: limits, log: log,
		slots: make(chan struct{}, limits.All), closed: make(chan struct{}),
		open: newShares(limits.All, limits.PerAddress, nil), // addressOf leaves out trusted proxies.
	}
}

type boundedListener struct {
	net.Listener

	limits ConnLimits
	log    *slog.Logger
	slots  chan struct{}
	closed chan struct{}
	close  sync.Once
	logged throttle.Interval // of refusals
	open   *shares
}

// Accept waits for a slot and for a connection of an address that has fewer than its bound.
func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.slots
			return nil, err
		}
		addr := l.addressOf(c)
		if _, ok := l.open.enter(addr); ok {
			return &countedConn{Conn: c, leave: func() { l.leave(addr) }}, nil
		}
		l.refused(addr)
		_ = c.Close() // Nothing was read or written.
	}
}

// Close closes the listener. An Accept that waits for a slot returns net.ErrClosed.
func (l *boundedListener) Close() error {
	l.close.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// addressOf is the address that is counted; invalid for a trusted proxy, and without one.
func (l *boundedListener) addressOf(c net.Conn) netip.Addr {
	if isTrusted(parseAddress(c.RemoteAddr().String()), l.limits.Trusted) {
		return netip.Addr{}
	}
	return clientAddress(c.RemoteAddr().String(), nil, nil)
}

func (l *boundedListener) leave(addr netip.Addr) {
	l.open.leave(addr)
	<-l.slots
}

// refusedLogInterval is the least time between two log lines about refused connections.
const refusedLogInterval = time.Minute

func (l *boundedListener) refused(addr netip.Addr) {
	if l.logged.Due(time.Now(), refusedLogInterval) {
		l.log.WarnContext(context.Background(), "a connection was closed: its address has too many", "address", addr, "maximum", l.limits.PerAddress)
	}
}

// countedConn is a connection that leaves its limits when it is closed.
type countedConn struct {
	net.Conn

	once  sync.Once
	leave func()
}

// Close closes the connection.
func (c *countedConn) Close() error {
	defer c.once.Do(c.leave)
	return c.Conn.Close()
}
