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

// errInstance means that another Redis instance answers than the one that the open epoch belongs to. It may
// have gone back in time, so nothing is reserved on it until a new epoch is open.
var errInstance = errors.New("another Redis instance answers than this epoch knows")

const (
	// handshakeTimeout bounds the look at a new connection's instance: a frozen Redis must not hold up the dial.
	handshakeTimeout = 2 * time.Second
	// infoMax bounds the INFO reply, in bytes: the server section is about 1 kB.
	infoMax = 64 << 10
)

// gate lets connections through to one Redis instance only. It looks at each new connection before rueidis
// may use it, so that also after a reconnect no reservation reaches an instance that was not checked (I3).
type gate struct {
	username, password string
	changed            func() // told when another instance answers

	mu      sync.Mutex
	allowed string // the run_id that is let through
}

// allow lets connections to the instance through. Those that are open stay: they were checked when they were made,
// and a connection does not survive its instance.
func (g *gate) allow(runID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.allowed = runID
}

// dial is rueidis' DialCtxFn.
func (g *gate) dial(ctx context.Context, addr string, d *net.Dialer, cfg *tls.Config) (net.Conn, error) {
	conn, runID, err := g.look(ctx, addr, d, cfg)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	allowed := g.allowed
	g.mu.Unlock()
	if runID != allowed {
		_ = conn.Close()
		g.changed()
		return nil, errInstance
	}
	return conn, nil
}

// runID asks the instance behind the address who it is.
func (g *gate) runID(ctx context.Context, addr string, cfg *tls.Config) (string, error) {
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
		return nil, "", fmt.Errorf("ask Redis at %s for its run_id: %w", addr, err)
	}
	return conn, id, nil
}

func dialRedis(ctx context.Context, addr string, d *net.Dialer, cfg *tls.Config) (net.Conn, error) {
	if cfg != nil {
		return (&tls.Dialer{NetDialer: d, Config: cfg}).DialContext(ctx, "tcp", addr)
	}
	return d.DialContext(ctx, "tcp", addr)
}

// handshake reads the run_id over RESP2, which every connection speaks before rueidis says HELLO. It reads all
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
	info, err := roundTrip(conn, r, "INFO", "server")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(info) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "run_id:"); ok && id != "" {
			return id, conn.SetDeadline(time.Time{})
		}
	}
	return "", errors.New("INFO server has no run_id")
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
	if err != nil || n < 0 || n > infoMax {
		return "", fmt.Errorf("redis answered %q to %s", line, args[0])
	}
	buf := make([]byte, n+len("\r\n"))
	if _, err := io.ReadFull(r, buf); err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
