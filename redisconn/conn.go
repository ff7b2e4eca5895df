package redisconn

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// Config is the address of a Redis and how to log in. Passwords are never printed.
type Config struct {
	// Addr is host:port; empty with Sentinels.
	Addr string
	// Sentinels are the host:port of each Sentinel, and Primary is the name under which they monitor the primary.
	Sentinels []string
	Primary   string
	// Username and Password are sent by AUTH; both may be empty.
	Username, Password string
	// SentinelUsername and SentinelPassword are the same for the Sentinels.
	SentinelUsername, SentinelPassword string
	// TLS is nil for plain TCP; it is also for the Sentinels.
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
	cfg       Config
	fence     *fence
	sentinels *sentinels // nil without Sentinels

	mu      sync.Mutex
	changed []func()
	located location
	client  rueidis.Client
}

// Connect makes a client. It succeeds also while Redis is unreachable: commands fail until it is reachable, and Instance returns
// the cause. No command is sent before Allow.
func Connect(cfg Config) (*Conn, error) {
	c := &Conn{cfg: cfg}
	if len(cfg.Sentinels) > 0 {
		c.sentinels = &sentinels{
			addrs: cfg.Sentinels, name: cfg.Primary, tls: cfg.TLS,
			auth: credentials{username: cfg.SentinelUsername, password: cfg.SentinelPassword},
		}
	}
	c.fence = &fence{auth: cfg.credentials(), changed: c.notify, allowed: noInstance(), addr: cfg.Addr}
	client, err := newClient(cfg, c.fence)
	if err != nil {
		return nil, err
	}
	c.client = client
	return c, nil
}

func (c Config) credentials() credentials {
	return credentials{username: c.Username, password: c.Password}
}

// name is how errors name the Redis.
func (c Config) name() string {
	if len(c.Sentinels) > 0 {
		return c.Primary + " of the Sentinels " + strings.Join(c.Sentinels, ",")
	}
	return c.Addr
}

func newClient(cfg Config, f *fence) (rueidis.Client, error) {
	opt := rueidis.ClientOption{
		InitAddress: []string{cmp.Or(cfg.Addr, cfg.Primary)}, Username: cfg.Username, Password: cfg.Password, TLSConfig: cfg.TLS,
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
		return nil, fmt.Errorf("redis client for %s: %w", cfg.name(), err)
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
	client, err = newClient(c.cfg, &fence{auth: c.cfg.credentials(), allowed: instance, addr: c.addressOf(instance), changed: changed})
	if err != nil {
		return nil, nil, err
	}
	return client, client.Close, nil
}

// Client is the client to the allowed instance.
func (c *Conn) Client() rueidis.Client { return c.client }

// Embedded reports whether the Redis lives in this process.
func (c *Conn) Embedded() bool { return c.cfg.Embedded }

// HasSentinels reports whether Sentinels decide which Redis it is.
func (c *Conn) HasSentinels() bool { return c.sentinels != nil }

// Close closes all connections.
func (c *Conn) Close() { c.client.Close() }

// CheckEvictionPolicy returns ErrEviction for a Redis that may evict keys: a counter or a hot order that vanishes is stock sold twice
// or an order lost. The embedded one never evicts.
func (c *Conn) CheckEvictionPolicy(ctx context.Context) error {
	if c.cfg.Embedded {
		return nil
	}
	p, err := c.setting(ctx, "maxmemory-policy")
	if err != nil {
		return err
	}
	if p != "noeviction" {
		return fmt.Errorf("the maxmemory-policy of Redis at %s is %q, under which it may drop stock counters and orders: "+
			"set `maxmemory-policy noeviction`: %w", c.cfg.name(), p, ErrEviction)
	}
	return nil
}

// CheckReplicas returns ErrReplicas for a Redis that takes writes while it has no replica, which durability replica does not allow: all
// orders would be accepted, and none be as safe as promised. Each of the two settings switches the other one off by 0.
func (c *Conn) CheckReplicas(ctx context.Context) error {
	for _, s := range []struct{ name, usual string }{{"min-replicas-to-write", "1"}, {"min-replicas-max-lag", "10"}} {
		n, err := c.setting(ctx, s.name)
		if err != nil {
			return err
		}
		if n == "0" {
			return fmt.Errorf("%[1]s of Redis at %[2]s is 0, and durability replica needs 1 or more: "+
				"set `%[1]s %[3]s` on the primary and on each replica: %[4]w", s.name, c.cfg.name(), s.usual, ErrReplicas)
		}
	}
	return nil
}

// setting reads a setting of Redis.
func (c *Conn) setting(ctx context.Context, name string) (string, error) {
	got, err := c.client.Do(ctx, c.client.B().ConfigGet().Parameter(name).Build()).AsStrMap()
	if err != nil {
		return "", fmt.Errorf("read Redis' %s: %w", name, err)
	}
	return got[name], nil
}
