package stock

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// errInstance means that Redis has another history than the one that the open epoch belongs to. It may be older, so nothing
// is reserved on it until a new epoch is open.
var errInstance = errors.New("redis is another instance, or has another history, than the open epoch knows")

const (
	// handshakeTimeout bounds the look at a new connection's instance: a frozen Redis must not hold up the dial.
	handshakeTimeout = 2 * time.Second
	// maxInfoBytes bounds the INFO reply: the two sections are about 2 kB.
	maxInfoBytes = 64 << 10
	// instanceSeparator stands between run_id and replication id.
	instanceSeparator = "/"
)

// gate lets connections through to one Redis instance only. It looks at each new connection before rueidis
// may use it, so that also after a reconnect no reservation reaches an instance that was not checked (I3).
type gate struct {
	username, password string
	changed            func() // told when another instance answers

	mu      sync.Mutex
	allowed string             // the instance that is let through
	open    map[*passed]string // the connections that were let through, and the run_id behind each
}

// passed is a connection that was let through.
type passed struct {
	net.Conn

	gate *gate
}

// Close closes the connection, and forgets it.
func (p *passed) Close() error {
	p.gate.mu.Lock()
	delete(p.gate.open, p)
	p.gate.mu.Unlock()
	return p.Conn.Close()
}

// allow lets connections to the instance through, and closes those to another one: the address may have moved while the old Redis lives on.
// An instance that is demoted, resynced and promoted again keeps its connections; the scripts that write to the journal check the
// replication id themselves.
func (g *gate) allow(instance string) {
	g.mu.Lock()
	g.allowed = instance
	var others []*passed
	for p, id := range g.open {
		if id != runID(instance) {
			others = append(others, p)
		}
	}
	g.mu.Unlock()
	for _, p := range others {
		_ = p.Close()
	}
}

// runID is the part of an instance's identity that changes when it is restarted.
func runID(instance string) string {
	id, _, _ := strings.Cut(instance, instanceSeparator)
	return id
}

// replicationID is the part of an instance's identity that changes when it is promoted; empty for the embedded Redis.
func replicationID(instance string) string {
	_, id, _ := strings.Cut(instance, instanceSeparator)
	return id
}

// dial is rueidis' DialCtxFn.
func (g *gate) dial(ctx context.Context, addr string, d *net.Dialer, cfg *tls.Config) (net.Conn, error) {
	conn, instance, err := g.look(ctx, addr, d, cfg)
	if err != nil {
		return nil, err
	}
	p := g.pass(conn, instance)
	if p == nil {
		_ = conn.Close()
		g.changed()
		return nil, errInstance
	}
	return p, nil
}

// pass returns nil for a connection to an instance that is not let through.
func (g *gate) pass(conn net.Conn, instance string) *passed {
	g.mu.Lock()
	defer g.mu.Unlock()
	if instance != g.allowed {
		return nil
	}
	if g.open == nil {
		g.open = make(map[*passed]string)
	}
	p := &passed{Conn: conn, gate: g}
	g.open[p] = runID(instance)
	return p
}

// instance reads the identity of the Redis behind the address.
func (g *gate) instance(ctx context.Context, addr string, cfg *tls.Config) (string, error) {
	conn, id, err := g.look(ctx, addr, &net.Dialer{Timeout: handshakeTimeout}, cfg)
	if err != nil {
		return "", err
	}
	return id, conn.Close()
}

func (g *gate) look(ctx context.Context, addr string, d *net.Dialer, cfg *tls.Config) (net.Conn, string, error) {
	conn, err := dialRedis(ctx, addr, d, cfg)
	if err != nil {
		return nil, "", fmt.Errorf("connect to Redis at %s: %w", addr, err)
	}
	id, err := g.handshake(conn)
	if err != nil {
		_ = conn.Close()
		return nil, "", fmt.Errorf("read the identity of Redis at %s: %w", addr, err)
	}
	return conn, id, nil
}

func dialRedis(ctx context.Context, addr string, d *net.Dialer, cfg *tls.Config) (net.Conn, error) {
	if cfg != nil {
		return (&tls.Dialer{NetDialer: d, Config: cfg}).DialContext(ctx, "tcp", addr)
	}
	return d.DialContext(ctx, "tcp", addr)
}

// handshake reads run_id and replication id over RESP2, which every connection speaks before rueidis says HELLO. It reads all
// of the replies and nothing more, so the connection is as new afterwards.
func (g *gate) handshake(conn net.Conn) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return "", err
	}
	r := bufio.NewReader(conn)
	if g.password != "" {
		args := []string{"AUTH", g.password}
		if g.username != "" {
			args = []string{"AUTH", g.username, g.password}
		}
		if _, err := roundTrip(conn, r, args...); err != nil {
			return "", err
		}
	}
	fields := make(map[string]string)
	for _, section := range []string{"server", "replication"} {
		info, err := roundTrip(conn, r, "INFO", section)
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(info) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			fields[name] = value
		}
	}
	if fields["role"] == "slave" {
		return "", errors.New("it is a replica: name the primary")
	}
	if fields["run_id"] == "" || fields["master_replid"] == "" {
		return "", errors.New("INFO shows no run_id or no master_replid")
	}
	return fields["run_id"] + instanceSeparator + fields["master_replid"], conn.SetDeadline(time.Time{})
}

// roundTrip sends one command and reads a simple string or a bulk string.
func roundTrip(w io.Writer, r *bufio.Reader, args ...string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return "", err
	}
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	switch {
	case strings.HasPrefix(line, "-"):
		return "", fmt.Errorf("redis answered %s to %s", line, args[0])
	case !strings.HasPrefix(line, "$"):
		return line, nil
	}
	n, err := strconv.Atoi(line[1:])
	if err != nil || n < 0 || n > maxInfoBytes {
		return "", fmt.Errorf("redis answered %q to %s", line, args[0])
	}
	buf := make([]byte, n+len("\r\n"))
	if _, err := io.ReadFull(r, buf); err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
