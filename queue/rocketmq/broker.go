// Package rocketmq implements the queue on Apache RocketMQ 5, through the gRPC API of its proxy.
//
// It uses the generated stubs of the official Go client (package protocol/v2 of its module) rather than the client
// itself; docs/design/queue.md gives the reasons. Any proxy works: configure the address of one proxy, or of a load
// balancer before several proxies in cluster mode.
//
// Topics (of message type NORMAL) and groups must exist. RocketMQ moves a message to the dead-letter topic of its group
// after retryMaxTimes redeliveries, also when only the consumer's database is down: set a retryMaxTimes that an outage
// cannot exhaust. A group that has never received begins with the oldest message only while the broker has deleted no
// message of the topic and holds all of them in memory, and with the newest otherwise: let a new group receive once
// before its topic is old.
package rocketmq

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spillway/spillway/queue"
)

const (
	// DefaultPollTimeout is the shortest long poll that a proxy accepts in its default configuration.
	DefaultPollTimeout = 5 * time.Second
	// DefaultMinLease is the shortest lease that a proxy accepts in its default configuration.
	DefaultMinLease = 10 * time.Second

	maxLease = 12 * time.Hour
	// maxReceive is the maximum number of messages that a proxy returns from one call.
	maxReceive = 32
	// maxRedeliveryDelay is the maximum time that the broker takes to find an expired lease; one to two seconds were
	// measured.
	maxRedeliveryDelay = 5 * time.Second
	// deadLetterPrefix is the start of the name of a group's dead-letter topic.
	deadLetterPrefix = "%DLQ%"
	// opTimeout is the maximum duration of one call, in addition to the time of its long poll.
	opTimeout = 5 * time.Second
)

// Config configures a Broker.
type Config struct {
	// Endpoint is the host:port of the proxy's gRPC port.
	Endpoint string
	// TLS is nil for plain text.
	TLS *tls.Config
	// Credentials sign every request; empty for a proxy without authentication.
	Credentials Credentials
	// PollTimeout is the time that Receive waits for messages; 0 means DefaultPollTimeout. A shorter one requires a
	// proxy that is configured for it (grpcClientConsumerMinLongPollingTimeoutMillis); other proxies wait longer.
	PollTimeout time.Duration
	// MinLease is the shortest lease; 0 means DefaultMinLease. A shorter one requires a proxy that is configured for it
	// (minInvisibleTimeMillsForRecv).
	MinLease time.Duration
	// Log receives warnings and errors; nil means slog.Default.
	Log *slog.Logger
}

// Broker makes producers and consumers for one proxy. It is safe for concurrent use.
type Broker struct {
	cfg Config
	log *slog.Logger

	mu     sync.Mutex
	closed bool
	open   []closer
}

type closer interface {
	Close(ctx context.Context) error
}

// New makes a Broker. It does not connect, and fails with queue.ErrInvalid for a configuration that can never work.
func New(cfg Config) (*Broker, error) {
	if _, _, err := net.SplitHostPort(cfg.Endpoint); err != nil {
		return nil, fmt.Errorf("%w: the address of the RocketMQ proxy must be host:port: %w", queue.ErrInvalid, err)
	}
	if cfg.PollTimeout < 0 || cfg.MinLease < 0 || cfg.MinLease > maxLease {
		return nil, fmt.Errorf("%w: poll timeout %v or minimum lease %v out of range", queue.ErrInvalid, cfg.PollTimeout, cfg.MinLease)
	}
	if cfg.PollTimeout == 0 {
		cfg.PollTimeout = DefaultPollTimeout
	}
	if cfg.MinLease == 0 {
		cfg.MinLease = DefaultMinLease
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Broker{cfg: cfg, log: cfg.Log.With("queue", "rocketmq")}, nil
}

// Features returns the properties of RocketMQ.
func (b *Broker) Features() queue.Features {
	return queue.Features{
		Name: "rocketmq", PollTimeout: b.cfg.PollTimeout, MaxReceive: maxReceive, MinLease: b.cfg.MinLease, MaxLease: maxLease,
		MaxRedeliveryDelay: maxRedeliveryDelay, DeadLetters: true, DeadLetterPrefix: deadLetterPrefix,
	}
}

// Producer makes a producer for any topic. It connects with its first call.
func (b *Broker) Producer() (queue.Producer, error) {
	p := newProducer(b)
	return p, b.register(p)
}

// Consumer makes a consumer and begins to connect it. The topic may be the dead-letter topic of a group.
func (b *Broker) Consumer(topic, group string) (queue.Consumer, error) {
	if err := errors.Join(queue.CheckName("topic", strings.TrimPrefix(topic, deadLetterPrefix)), queue.CheckName("group", group)); err != nil {
		return nil, err
	}
	c := newConsumer(b, topic, group)
	if err := b.register(c); err != nil {
		return nil, err
	}
	c.start()
	return c, nil
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

// Close closes every producer and consumer.
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
