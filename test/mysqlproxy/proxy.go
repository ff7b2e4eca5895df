package mysqlproxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// dialTimeout bounds the dial of the server.
const dialTimeout = 5 * time.Second

// Rule returns the error with which the proxy responds to a statement instead of the server, or nil to forward it. It is called by many
// goroutines at once.
type Rule func(statement string) *Error

// Proxy is one address of a MySQL. It is safe for concurrent use.
type Proxy struct {
	listener net.Listener
	running  sync.WaitGroup

	mu       sync.Mutex
	server   string
	rule     Rule
	oldOnly  bool // the rule is for connections that were there before it
	age      int  // grows with each rule
	refusal  *Error
	conns    map[net.Conn]struct{}
	closed   bool
	injected int
}

// Start starts a proxy of the server, which ends with the test.
func Start(t testing.TB, server string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, server: server, conns: make(map[net.Conn]struct{})}
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr returns host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Inject applies the rule to the statements of all connections from now on, and returns the function that ends it.
func (p *Proxy) Inject(r Rule) (end func()) {
	p.setRule(r, false)
	return func() { p.setRule(nil, false) }
}

// InjectOld is Inject for the connections that are there now: their server was replaced, and the address leads to another one.
func (p *Proxy) InjectOld(r Rule) (end func()) {
	p.setRule(r, true)
	return func() { p.setRule(nil, false) }
}

func (p *Proxy) setRule(r Rule, oldOnly bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rule, p.oldOnly = r, oldOnly
	p.age++
}

// Refuse responds to new connections with the error, until it is called with nil.
func (p *Proxy) Refuse(e *Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusal = e
}

// MoveTo forwards new connections to another server. The others stay, as they do when a name leads to another address.
func (p *Proxy) MoveTo(server string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = server
}

// Sever closes all connections.
func (p *Proxy) Sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// Injected returns how many statements got an error of a rule.
func (p *Proxy) Injected() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.injected
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.Sever()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				continue
			}
			return
		}
		p.running.Go(func() { p.serve(c) })
	}
}

// serve forwards one connection until one of its ends closes it.
func (p *Proxy) serve(client net.Conn) {
	defer p.forget(client)
	server, refusal := p.register(client)
	if refusal != nil {
		_, _ = client.Write(packet(0, refusal.handshake()))
		return
	}
	backend, err := net.DialTimeout("tcp", server, dialTimeout)
	if err != nil {
		return
	}
	defer p.forget(backend)
	p.register(backend)
	var replies sync.WaitGroup
	replies.Go(func() {
		_, _ = io.Copy(client, backend)
		_ = client.Close()
	})
	defer replies.Wait()
	p.forward(client, backend, p.now())
	_ = backend.Close()
}

// register makes the connection one that Sever closes.
func (p *Proxy) register(c net.Conn) (server string, refusal *Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
	}
	p.conns[c] = struct{}{}
	return p.server, p.refusal
}

// now is the age of a connection that is made now.
func (p *Proxy) now() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.age
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close()
}

// forward sends the client's packets to the server, except statements that get an error of the rule. A client sends no statement before it
// has the whole response to the one before, so that an injected response never gets between two packets of the server.
func (p *Proxy) forward(client, backend net.Conn, age int) {
	for {
		sequence, payload, err := readPacket(client)
		if err != nil {
			return
		}
		if e := p.errorFor(sequence, payload, age); e != nil {
			_, err = client.Write(packet(sequence+1, e.response()))
		} else {
			_, err = backend.Write(packet(sequence, payload))
		}
		if err != nil {
			return
		}
	}
}

// errorFor returns the error of the rule for a packet. The packets of the handshake have a sequence number above 0.
func (p *Proxy) errorFor(sequence byte, payload []byte, age int) *Error {
	if sequence != 0 || len(payload) == 0 || payload[0] != commandQuery && payload[0] != commandPrepare {
		return nil
	}
	p.mu.Lock()
	rule := p.rule
	if p.oldOnly && age == p.age {
		rule = nil
	}
	p.mu.Unlock()
	if rule == nil {
		return nil
	}
	e := rule(string(payload[1:]))
	if e != nil {
		p.mu.Lock()
		p.injected++
		p.mu.Unlock()
	}
	return e
}
