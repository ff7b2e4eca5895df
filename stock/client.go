package stock

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// RedisConfig says where Redis is. The password is never printed.
type RedisConfig struct {
	// Addr is host:port.
	Addr string
	// Username and Password are sent by AUTH; both may be empty.
	Username, Password string
	// TLS is nil for plain TCP.
	TLS *tls.Config
	// Embedded says that the Redis lives and dies with this process, so that its instance needs no checking.
	// Such a Redis is miniredis, which does not know INFO server.
	Embedded bool
}

const (
	// connWriteTimeout is after how long rueidis gives a connection up on which nothing comes back: a frozen Redis.
	connWriteTimeout = 2 * time.Second
	// dialTimeout bounds one attempt to connect.
	dialTimeout = 2 * time.Second
	// embeddedInstance stands for the Redis in this process. Its data is empty at each start, which the missing epoch
	// key shows.
	embeddedInstance = "embedded"
)

// Redis is a client whose connections reach only the instance that the open epoch belongs to.
type Redis struct {
	cfg  RedisConfig
	gate *gate

	mu      sync.Mutex
	changed []func()
	client  rueidis.Client
}

// Connect makes a client. It does not fail when Redis is not there: commands fail until it is, and Instance says
// why. No command passes before Allow.
func Connect(cfg RedisConfig) (*Redis, error) {
	r := &Redis{cfg: cfg}
	r.gate = &gate{username: cfg.Username, password: cfg.Password, changed: r.notify, allowed: "none-" + rand.Text()}
	client, err := newClient(cfg, r.gate)
	if err != nil {
		return nil, err
	}
	r.client = client
	return r, nil
}

func newClient(cfg RedisConfig, g *gate) (rueidis.Client, error) {
	opt := rueidis.ClientOption{
		InitAddress: []string{cfg.Addr}, Username: cfg.Username, Password: cfg.Password, TLSConfig: cfg.TLS,
		ForceSingleClient: true, DisableCache: true,
		// A context's deadline must not close the connection that all requests share.
		AlwaysPipelining: true,
		ConnWriteTimeout: connWriteTimeout,
	}
	opt.Dialer.Timeout = dialTimeout
	if !cfg.Embedded {
		opt.DialCtxFn = g.dial
	}
	client, err := rueidis.NewClient(opt)
	if client == nil {
		return nil, fmt.Errorf("redis client for %s: %w", cfg.Addr, err)
	}
	return client, nil
}

// On makes a client of its own to the instance, which the caller closes: it works before Allow lets the requests
// through. It calls changed when another instance answers: the client would try again until its caller's context ends. The embedded
// Redis has one instance, and its client is shared.
func (r *Redis) On(instance string, changed func()) (client rueidis.Client, closeClient func(), err error) {
	if r.cfg.Embedded {
		return r.client, func() {}, nil
	}
	client, err = newClient(r.cfg, &gate{
		username: r.cfg.Username, password: r.cfg.Password, allowed: instance, changed: changed,
	})
	if err != nil {
		return nil, nil, err
	}
	return client, client.Close, nil
}

// Client is the gated client.
func (r *Redis) Client() rueidis.Client { return r.client }

// Close closes all connections.
func (r *Redis) Close() { r.client.Close() }

// Instance reads the identity of the Redis behind the address, on a connection of its own: its run_id, which changes when it is
// restarted, and its replication id, which changes when it is promoted.
func (r *Redis) Instance(ctx context.Context) (string, error) {
	if r.cfg.Embedded {
		return embeddedInstance, nil
	}
	return r.gate.instance(ctx, r.cfg.Addr, r.cfg.TLS)
}

// Allow lets commands through to the instance.
func (r *Redis) Allow(instance string) { r.gate.allow(instance) }

// OnChange registers what to call when another instance answers; it must not block.
func (r *Redis) OnChange(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed = append(r.changed, f)
}

func (r *Redis) notify() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.changed {
		f()
	}
}

// CheckPolicy refuses a Redis that may evict keys: a counter or an order's record that vanishes is stock sold twice
// or an order lost. The embedded one never evicts.
func (r *Redis) CheckPolicy(ctx context.Context) error {
	if r.cfg.Embedded {
		return nil
	}
	got, err := r.client.Do(ctx, r.client.B().ConfigGet().Parameter("maxmemory-policy").Build()).AsStrMap()
	if err != nil {
		return fmt.Errorf("read Redis' maxmemory-policy: %w", err)
	}
	if p := got["maxmemory-policy"]; p != "noeviction" {
		return fmt.Errorf("the maxmemory-policy of Redis at %s is %q, under which it may drop stock counters and orders: "+
			"set `maxmemory-policy noeviction`: %w", r.cfg.Addr, p, ErrEviction)
	}
	return nil
}

// ErrEviction means that Redis may evict keys. No retry helps until its configuration is changed.
var ErrEviction = errors.New("redis may evict keys")
