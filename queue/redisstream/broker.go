// Package redisstream keeps the queue in Redis Streams: a stream a topic, consumer groups, one entry a message.
//
// It runs on real Redis and on miniredis. A topic's groups are declared up front, because a stream is trimmed behind
// its slowest group, and a group that nobody has heard of would miss what was trimmed. Everything else comes into
// being when it is first used, and again when Redis was wiped.
package redisstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/queue"
)

const (
	// DefaultMaxMessages bounds a topic when Config does not: with 200 kB a message, 1 GB.
	DefaultMaxMessages = 5000

	// await is the longest that one blocking read takes, and so the longest that Close waits for one.
	await = 500 * time.Millisecond
	// claimEvery is how often a consumer looks for leases that ran out.
	claimEvery = 500 * time.Millisecond
	// receiveMax bounds one read; at 4 MiB a message it is 1 GiB in the worst case, at 200 kB it is 50 MB.
	receiveMax = 256
	// leaseMin keeps a lease longer than the pause between two looks for expired ones.
	leaseMin = time.Second
	leaseMax = 12 * time.Hour
	// opTimeout bounds one command, beyond the time that it asked to block.
	opTimeout = 5 * time.Second
)

// Config sets up a Broker.
type Config struct {
	// Topics names every topic and all of its groups.
	Topics map[string][]string
	// Key names the stream of a topic. nil means "{spillway:queue:TOPIC}": the braces keep all that belongs to a topic
	// in one slot of a Redis Cluster.
	Key func(topic string) string
	// Consumer names this process among the consumers of a group; it is made unique by a suffix. "" means the host.
	Consumer string
	// MaxMessages bounds the stream of each topic: Send fails with queue.ErrFull while it is that long. 0 means
	// DefaultMaxMessages. Producers that send at the same moment may exceed it by one Send each.
	MaxMessages int64
	// Log receives what an operator should know; nil means slog.Default.
	Log *slog.Logger
}

// Broker makes producers and consumers on one client.
type Broker struct {
	client rueidis.Client
	cfg    Config
	log    *slog.Logger
	trim   *rueidis.Lua
	sweep  *rueidis.Lua

	mu     sync.Mutex
	closed bool
	open   []closer
}

type closer interface {
	Close(ctx context.Context) error
}

// New makes a Broker on the client, which stays the caller's: close it after the Broker. Large messages hold up what
// else travels on the client's connection, so give the queue a client of its own where latency matters. Set
// AlwaysPipelining, or a context that ends closes the connection; and DisableCache and ForceSingleClient for miniredis.
func New(client rueidis.Client, cfg Config) (*Broker, error) {
	for topic, groups := range cfg.Topics {
		if err := checkTopic(topic, groups); err != nil {
			return nil, err
		}
	}
	if len(cfg.Topics) == 0 || cfg.MaxMessages < 0 {
		return nil, fmt.Errorf("%w: declare at least one topic, and no negative bound (%d)", queue.ErrInvalid, cfg.MaxMessages)
	}
	if cfg.Key == nil {
		cfg.Key = func(topic string) string { return "{spillway:queue:" + topic + "}" }
	}
	if cfg.MaxMessages == 0 {
		cfg.MaxMessages = DefaultMaxMessages
	}
	if cfg.Consumer == "" {
		cfg.Consumer = hostname()
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Broker{
		client: client, cfg: cfg, log: cfg.Log.With("queue", "redisstream"),
		trim: rueidis.NewLuaScript(trimScript), sweep: rueidis.NewLuaScript(sweepScript),
	}, nil
}

func checkTopic(topic string, groups []string) error {
	if err := queue.CheckName("topic", topic); err != nil {
		return err
	}
	if len(groups) == 0 {
		return fmt.Errorf("%w: topic %q has no group, so it could never be trimmed", queue.ErrInvalid, topic)
	}
	for _, g := range groups {
		if err := queue.CheckName("group", g); err != nil {
			return err
		}
	}
	return nil
}

func hostname() string {
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return "consumer"
}

// Features declares what is special about Redis: leases are measured by whoever looks for expired ones.
func (b *Broker) Features() queue.Features {
	return queue.Features{
		Name: "redisstream", Await: await, ReceiveMax: receiveMax, LeaseMin: leaseMin, LeaseMax: leaseMax,
		RedeliveryDelayMax: claimEvery + await + time.Second,
		LeaseOfNext:        true, AckAfterLease: true, CreatesGroups: true,
	}
}

// Producer makes a producer for the declared topics.
func (b *Broker) Producer() (queue.Producer, error) {
	p := newProducer(b)
	return p, b.register(p)
}

// Consumer makes a consumer; topic and group must be declared.
func (b *Broker) Consumer(topic, group string) (queue.Consumer, error) {
	if !slices.Contains(b.cfg.Topics[topic], group) {
		return nil, fmt.Errorf("%w: group %q of topic %q is not declared in Config.Topics", queue.ErrInvalid, group, topic)
	}
	c := newConsumer(b, topic, group, b.cfg.Consumer+"-"+rand.Text()[:8])
	return c, b.register(c)
}

func (b *Broker) register(c closer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return queue.ErrClosed
	}
	b.open = append(b.open, c)
	return nil
}

// forget is called by what closes itself.
func (b *Broker) forget(c closer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = slices.DeleteFunc(b.open, func(o closer) bool { return o == c })
}

// Close closes all producers and consumers, and leaves the client open.
func (b *Broker) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	open := slices.Clone(b.open)
	b.mu.Unlock()
	var errs []error
	for _, c := range open {
		errs = append(errs, c.Close(ctx))
	}
	return errors.Join(errs...)
}
