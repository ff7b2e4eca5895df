// Package redisstream implements the queue on Redis Streams: one stream per topic, consumer groups, one entry per
// message.
//
// It works with real Redis and with miniredis. The groups of a topic are declared up front, because a stream is trimmed
// behind its slowest group, and an undeclared group would miss trimmed entries. Streams and groups are created when
// they are first used, and again after Redis was wiped.
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
	// DefaultMaxMessages is the default of Config.MaxMessages: 1 GB at 330 kB per message.
	DefaultMaxMessages = 3000

	// pollTimeout is the maximum duration of one blocking read, and so the maximum time that Close waits for one.
	pollTimeout = 500 * time.Millisecond
	// claimInterval is the time between two scans of a consumer for expired leases.
	claimInterval = 500 * time.Millisecond
	// maxReceive is the maximum number of messages of one read: 50 MB at 200 kB per message, 1 GiB in the worst case of
	// 4 MiB.
	maxReceive = 256
	// minLease is longer than the time between two scans for expired leases.
	minLease = time.Second
	maxLease = 12 * time.Hour
	// opTimeout is the maximum duration of one command, in addition to the time for which it blocks.
	opTimeout = 5 * time.Second
)

// Config configures a Broker.
type Config struct {
	// Topics lists every topic with all of its groups.
	Topics map[string][]string
	// Key returns the key of a topic's stream. nil means "{spillway:queue:TOPIC}"; the braces place all keys of a topic
	// in one slot of a Redis Cluster.
	Key func(topic string) string
	// Consumer is the name of this process among the consumers of a group, to which a random suffix is added. "" means
	// the host name.
	Consumer string
	// MaxMessages is the maximum length of the stream of each topic: Send fails with queue.ErrFull while it is reached.
	// 0 means DefaultMaxMessages. Concurrent producers may exceed it by one Send each.
	MaxMessages int64
	// Log receives warnings and errors; nil means slog.Default.
	Log *slog.Logger
}

// Broker makes producers and consumers on one client. It is safe for concurrent use.
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

// New makes a Broker on the client, which the caller closes after the Broker. Large messages delay other commands on
// the client's connection, so use a separate client for the queue where latency matters. Set AlwaysPipelining, because
// otherwise a context that ends closes the connection, and for miniredis DisableCache and ForceSingleClient. New fails
// with queue.ErrInvalid for an invalid Config and does not connect.
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

// Features returns the properties of Redis: the receiver that scans for expired leases applies its own lease.
func (b *Broker) Features() queue.Features {
	return queue.Features{
		Name: "redisstream", PollTimeout: pollTimeout, MaxReceive: maxReceive, MinLease: minLease, MaxLease: maxLease,
		MaxRedeliveryDelay: claimInterval + pollTimeout + time.Second,
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

// forget removes a producer or consumer that was closed by its owner.
func (b *Broker) forget(c closer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = slices.DeleteFunc(b.open, func(o closer) bool { return o == c })
}

// Close closes every producer and consumer and leaves the client open.
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
