package redisconn

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// Config is the address of a Redis and how to log in. The password is never printed.
type Config struct {
	// Addr is host:port.
	Addr string
	// Username and Password are sent by AUTH; both may be empty.
	Username, Password string
	// TLS is nil for plain TCP.
	TLS *tls.Config
	// Embedded is set for a miniredis in this process. It lives and dies with the process, so that its instance is not checked, and it
	// does not implement INFO server.
	Embedded bool
}

const (
	// connWriteTimeout is after how long without a reply rueidis gives up a connection: a frozen Redis.
	connWriteTimeout = 2 * time.Second
	// dialTimeout bounds one attempt to connect.
	dialTimeout = 2 * time.Second
	// oneConnection makes rueidis write all commands to one connection instead of four. The commands that wait while one pipeline is
	// written form the next one: with one connection it is four times as long, for the same number of system calls here and in Redis,
	// which runs one command at a time anyway. Blocking commands have connections of their own.
	oneConnection = -1
	// ringScale makes room for 8,192 commands that wait for a reply, as a power of two. A call whose context has ended keeps its place until
	// Redis replies or the connection breaks, and one that finds no place waits whatever its context. All classes of calls together, with
	// the workers, are fewer.
	ringScale = 13
	// maxFlushDelay is how long rueidis waits for more commands before it writes a pipeline, while several callers wait for a reply. A
	// caller that is alone is never delayed. Beyond 100 µs the pipelines get longer by little, and each step of an order slower.
	maxFlushDelay = 100 * time.Microsecond
	// embeddedInstance is the identity of the Redis in this process. Its data is empty at each start, which the missing epoch
	// key shows.
	embeddedInstance = "embedded"
)

// Conn is a client that connects only to the allowed instance. It is safe for concurrent use.
type Conn struct {
	cfg   Config
	fence *fence

	mu      sync.Mutex
	changed []func()
	client  rueidis.Client
}

// Connect makes a client. It succeeds also while Redis is unreachable: commands fail until it is reachable, and Instance returns
// the cause. No command is sent before Allow.
func Connect(cfg Config) (*Conn, error) {
	c := &Conn{cfg: cfg}
	c.fence = &fence{username: cfg.Username, password: cfg.Password, changed: c.notify, allowed: "none-" + rand.Text()}
	client, err := newClient(cfg, c.fence)
	if err != nil {
		return nil, err
	}
	c.client = client
	return c, nil
}

func newClient(cfg Config, f *fence) (rueidis.Client, error) {
	opt := rueidis.ClientOption{
		InitAddress: []string{cfg.Addr}, Username: cfg.Username, Password: cfg.Password, TLSConfig: cfg.TLS,
		ForceSingleClient: true, DisableCache: true,
		// A context's deadline must not close the connection that all requests share.
		AlwaysPipelining:  true,
		PipelineMultiplex: oneConnection,
		RingScaleEachConn: ringScale,
		MaxFlushDelay:     maxFlushDelay,
		ConnWriteTimeout:  connWriteTimeout,
	}
	opt.Dialer.Timeout = dialTimeout
	if !cfg.Embedded {
		opt.DialCtxFn = f.dial
	}
	client, err := rueidis.NewClient(opt)
	if client == nil {
		return nil, fmt.Errorf("redis client for %s: %w", cfg.Addr, err)
	}
	return tracedClient{client}, nil
}

// NewClient makes a separate client to the given instance, which need not be allowed yet; the caller closes it. It calls changed when
// another instance is behind the address: the client would retry until the context of its call ends. The embedded Redis has one
// instance, and its client is shared.
func (c *Conn) NewClient(instance string, changed func()) (client rueidis.Client, closeClient func(), err error) {
	if c.cfg.Embedded {
		return c.client, func() {}, nil
	}
	client, err = newClient(c.cfg, &fence{
		username: c.cfg.Username, password: c.cfg.Password, allowed: instance, changed: changed,
	})
	if err != nil {
		return nil, nil, err
	}
	return client, client.Close, nil
}

// Client is the client to the allowed instance.
func (c *Conn) Client() rueidis.Client { return c.client }

// Embedded reports whether the Redis lives in this process.
func (c *Conn) Embedded() bool { return c.cfg.Embedded }

// Close closes all connections.
func (c *Conn) Close() { c.client.Close() }

// Instance reads the identity of the Redis behind the address, on a connection of its own: its run_id, which changes when it is
// restarted, and its replication id, which changes when it is promoted.
func (c *Conn) Instance(ctx context.Context) (string, error) {
	if c.cfg.Embedded {
		return embeddedInstance, nil
	}
	return c.fence.instance(ctx, c.cfg.Addr, c.cfg.TLS)
}

// Allow makes the instance the only one that commands are sent to.
func (c *Conn) Allow(instance string) { c.fence.allow(instance) }

// OnChange registers a function that is called when another instance is behind the address; it must not block.
func (c *Conn) OnChange(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = append(c.changed, f)
}

func (c *Conn) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.changed {
		f()
	}
}

// CheckEvictionPolicy returns ErrEviction for a Redis that may evict keys: a counter or a hot order that vanishes is stock sold twice
// or an order lost. The embedded one never evicts.
func (c *Conn) CheckEvictionPolicy(ctx context.Context) error {
	if c.cfg.Embedded {
		return nil
	}
	got, err := c.client.Do(ctx, c.client.B().ConfigGet().Parameter("maxmemory-policy").Build()).AsStrMap()
	if err != nil {
		return fmt.Errorf("read Redis' maxmemory-policy: %w", err)
	}
	if p := got["maxmemory-policy"]; p != "noeviction" {
		return fmt.Errorf("the maxmemory-policy of Redis at %s is %q, under which it may drop stock counters and orders: "+
			"set `maxmemory-policy noeviction`: %w", c.cfg.Addr, p, ErrEviction)
	}
	return nil
}
