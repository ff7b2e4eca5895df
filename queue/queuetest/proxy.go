package queuetest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// repliesLostTime is the time for which a killed Proxy still forwards requests but no replies.
const repliesLostTime = 20 * time.Millisecond

// Proxy is a Freezer for a server in the process of the test: it forwards, cuts or holds connections to it. It cannot
// show the effects of a crash of the server itself.
type Proxy struct {
	target string
	addr   string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	// dying is set while replies are dropped.
	dying bool
	// thawed is closed while bytes are forwarded.
	thawed chan struct{}
	wg     sync.WaitGroup
}

// NewProxy listens at addr for the server at target, until the test ends. The port must stay free while the proxy is
// killed.
func NewProxy(t testing.TB, addr, target string) *Proxy {
	t.Helper()
	p := &Proxy{target: target, addr: addr, conns: make(map[net.Conn]bool), thawed: make(chan struct{})}
	close(p.thawed)
	p.Restart(t)
	t.Cleanup(func() { p.Kill(t); p.wg.Wait() })
	return p
}

// Addr is the address of the proxy; it stays the same.
func (p *Proxy) Addr() string { return p.addr }

// Kill closes the port and all connections. For the last moment the server executes requests but its replies are lost,
// as with a server that dies between the two.
func (p *Proxy) Kill(testing.TB) {
	p.mu.Lock()
	if p.listener == nil {
		p.mu.Unlock()
		return
	}
	p.dying = true
	p.mu.Unlock()
	pause(context.Background(), repliesLostTime)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	p.listener = nil
	for c := range p.conns {
		c.Close()
	}
}

// Restart opens the port again.
func (p *Proxy) Restart(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		t.Fatalf("listen for the proxy: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener, p.addr, p.dying = l, l.Addr().String(), false
	p.wg.Go(func() { p.accept(l) })
}

// Freeze forwards nothing; connections stay open and new ones are accepted.
func (p *Proxy) Freeze(testing.TB) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.thawed = make(chan struct{})
}

// Thaw forwards everything that was held.
func (p *Proxy) Thaw(testing.TB) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.thawed)
}

func (p *Proxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		alive := p.listener == l
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		if !alive {
			client.Close()
			server.Close()
		}
		p.wg.Go(func() { p.copy(client, server, true) })
		p.wg.Go(func() { p.copy(server, client, false) })
	}
}

// copy forwards requests or replies until one side closes; then it closes the other.
func (p *Proxy) copy(to, from net.Conn, answers bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			p.mu.Lock()
			thawed, drop := p.thawed, answers && p.dying
			p.mu.Unlock()
			<-thawed
			if drop {
				continue
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
