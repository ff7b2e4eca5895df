package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

const (
	// handshakeTimeout bounds the instance check of a new connection: a frozen Redis must not hold up the dial.
	handshakeTimeout = 2 * time.Second
	// instanceSeparator separates run_id and replication id.
	instanceSeparator = "/"
)

// fence accepts connections to one Redis instance only. It checks each new connection before rueidis may use it, so that also after a
// reconnect no command reaches an instance that was not checked (I3).
type fence struct {
	auth    credentials
	changed func() // called when another instance is behind the address

	mu      sync.Mutex
	allowed string                 // the only instance that is accepted
	addr    string                 // where it is; empty while no address is known
	open    map[*fencedConn]string // the run_id behind each accepted connection
}

// credentials log in to Redis or to a Sentinel; without a password there is no login.
type credentials struct{ username, password string }

// log sends AUTH.
func (c credentials) log(p resp) error {
	if c.password == "" {
		return nil
	}
	args := []string{"AUTH", c.password}
	if c.username != "" {
		args = []string{"AUTH", c.username, c.password}
	}
	_, err := p.text(args...)
	return err
}

// fencedConn is a connection that was accepted.
type fencedConn struct {
	net.Conn

	fence *fence
}

// Close closes the connection and removes it from the fence.
func (c *fencedConn) Close() error {
	c.fence.mu.Lock()
	delete(c.fence.open, c)
	c.fence.mu.Unlock()
	return c.Conn.Close()
}

// allow accepts connections to the instance at the address from now on, and closes those to another one: the old Redis may live on. An instance that is demoted, resynced and promoted again keeps its connections; the scripts that write to the journal check
// the replication id themselves.
func (f *fence) allow(instance, addr string) {
	f.mu.Lock()
	f.allowed, f.addr = instance, addr
	var others []*fencedConn
	for c, id := range f.open {
		if id != RunID(instance) {
			others = append(others, c)
		}
	}
	f.mu.Unlock()
	for _, c := range others {
		_ = c.Close()
	}
}

// RunID is the part of an instance's identity that changes when it is restarted.
func RunID(instance string) string {
	id, _, _ := strings.Cut(instance, instanceSeparator)
	return id
}

// ReplicationID is the part of an instance's identity that changes when it is promoted; empty for the embedded Redis.
func ReplicationID(instance string) string {
	_, id, _ := strings.Cut(instance, instanceSeparator)
	return id
}

// dial is rueidis' DialCtxFn. It connects to where the allowed instance is, whatever address rueidis was given.
func (f *fence) dial(ctx context.Context, _ string, d *net.Dialer, cfg *tls.Config) (net.Conn, error) {
	addr := f.address()
	if addr == "" {
		f.changed()
		return nil, ErrInstance
	}
	conn, instance, err := f.connect(ctx, addr, d, cfg)
	if err != nil {
		return nil, err
	}
	accepted := f.accept(conn, instance)
	if accepted == nil {
		_ = conn.Close()
		f.changed()
		return nil, ErrInstance
	}
	return accepted, nil
}

func (f *fence) address() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.addr
}

// accept returns nil for a connection to an instance that is not allowed.
func (f *fence) accept(conn net.Conn, instance string) *fencedConn {
	f.mu.Lock()
	defer f.mu.Unlock()
	if instance != f.allowed {
		return nil
	}
	if f.open == nil {
		f.open = make(map[*fencedConn]string)
	}
	c := &fencedConn{Conn: conn, fence: f}
	f.open[c] = RunID(instance)
	return c
}

// instance reads the identity of the Redis behind the address.
func (f *fence) instance(ctx context.Context, addr string, cfg *tls.Config) (string, error) {
	conn, id, err := f.connect(ctx, addr, &net.Dialer{Timeout: handshakeTimeout}, cfg)
	if err != nil {
		return "", err
	}
	return id, conn.Close()
}

// connect dials, and reads the identity of the instance behind the connection.
func (f *fence) connect(ctx context.Context, addr string, d *net.Dialer, cfg *tls.Config) (net.Conn, string, error) {
	conn, err := dialRedis(ctx, addr, d, cfg)
	if err != nil {
		return nil, "", fmt.Errorf("connect to Redis at %s: %w", addr, diagnose(ctx, addr, cfg, err))
	}
	id, err := f.handshake(conn)
	if err != nil {
		_ = conn.Close()
		return nil, "", fmt.Errorf("read the identity of Redis at %s: %w", addr, diagnose(ctx, addr, cfg, err))
	}
	return conn, id, nil
}

func dialRedis(ctx context.Context, addr string, d *net.Dialer, cfg *tls.Config) (net.Conn, error) {
	if cfg != nil {
		return (&tls.Dialer{NetDialer: d, Config: cfg}).DialContext(ctx, "tcp", addr)
	}
	return d.DialContext(ctx, "tcp", addr)
}

// handshake logs in and reads run_id and replication id.
func (f *fence) handshake(conn net.Conn) (string, error) {
	fields, err := f.info(conn, "server", "replication", "persistence")
	if err != nil {
		return "", err
	}
	if fields["redis_mode"] == "sentinel" {
		return "", errSentinel
	}
	if fields["role"] == "slave" {
		return "", ErrReplica
	}
	if fields["loading"] == "1" {
		return "", errLoading
	}
	if fields["run_id"] == "" || fields["master_replid"] == "" {
		return "", errors.New("INFO has no run_id or no master_replid")
	}
	return fields["run_id"] + instanceSeparator + fields["master_replid"], conn.SetDeadline(time.Time{})
}

// errSentinel means that a Sentinel is configured as a Redis.
var errSentinel = errors.New("it is a Sentinel, which has no data: configure all Sentinels as redis-sentinel://HOST:26379,HOST,HOST/PRIMARY")

// errLoading means that Redis refuses all commands. Clients would repeat them until their contexts end, for minutes with much data.
var errLoading = errors.New("it is still reading its data")

// ErrReplica means that a replica is behind the address, to which nothing is written.
var ErrReplica = errors.New("it is a replica: configure the address of the primary, or the Sentinels, which name it (during a failover this passes)")
