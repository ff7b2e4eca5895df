// Package rocketmq keeps the queue in Apache RocketMQ 5, through the gRPC API of its proxy.
//
// It speaks that API with the stubs of the official Go client (its module's package protocol/v2) rather than through
// the client itself; docs/design/queue.md says why. Any proxy serves: address one, or a load balancer before several
// in cluster mode.
//
// Topics (of message type NORMAL) and groups must exist. RocketMQ moves a message to the dead-letter topic of its
// group after retryMaxTimes redeliveries, also when nothing is wrong with it but its consumer's database is away: give
// the groups a retryMaxTimes that an outage cannot use up. A group that has never received begins with the oldest
// message only while the broker has deleted none of the topic and holds them in memory, and with the newest otherwise:
// let a new group receive once before its topic is old.
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
	// DefaultAwait is the shortest long poll that a proxy accepts as it is shipped.
	DefaultAwait = 5 * time.Second
	// DefaultLeaseMin is the shortest lease that a proxy accepts as it is shipped.
	DefaultLeaseMin = 10 * time.Second

	leaseMax = 12 * time.Hour
	// receiveMax is the most messages that a proxy hands out at once.
	receiveMax = 32
	// redeliveryDelayMax is what the broker's search for expired leases takes at most; one or two seconds were seen.
	redeliveryDelayMax = 5 * time.Second
	// deadLetterPrefix begins the name of the topic of what RocketMQ gave up for a group.
	deadLetterPrefix = "%DLQ%"
	// opTimeout bounds one call, beyond the time that it asked the proxy to wait.
	opTimeout = 5 * time.Second
)

// Config sets up a Broker.
type Config struct {
	// Endpoint is host:port of the proxy's gRPC port.
	Endpoint string
	// TLS is nil for plain text.
	TLS *tls.Config
	// Await is how long Receive waits; 0 means DefaultAwait. A shorter one needs a proxy that is configured for it
	// (grpcClientConsumerMinLongPollingTimeoutMillis), which otherwise waits as long as it wants to.
	Await time.Duration
	// LeaseMin is the shortest lease; 0 means DefaultLeaseMin. A shorter one needs a proxy that is configured for it
	// (minInvisibleTimeMillsForRecv).
	LeaseMin time.Duration
	// Log receives what an operator should know; nil means slog.Default.
	Log *slog.Logger
}

// Broker makes producers and consumers for one proxy.
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

// New makes a Broker. It connects to nothing yet, and fails only for a configuration that can never work.
func New(cfg Config) (*Broker, error) {
	if _, _, err := net.SplitHostPort(cfg.Endpoint); err != nil {
		return nil, fmt.Errorf("%w: the address of the RocketMQ proxy must be host:port: %w", queue.ErrInvalid, err)
	}
	if cfg.Await < 0 || cfg.LeaseMin < 0 || cfg.LeaseMin > leaseMax {
		return nil, fmt.Errorf("%w: await %v or shortest lease %v out of range", queue.ErrInvalid, cfg.Await, cfg.LeaseMin)
	}
	if cfg.Await == 0 {
		cfg.Await = DefaultAwait
	}
	if cfg.LeaseMin == 0 {
		cfg.LeaseMin = DefaultLeaseMin
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Broker{cfg: cfg, log: cfg.Log.With("queue", "rocketmq")}, nil
}

// Features declares what is special about RocketMQ.
func (b *Broker) Features() queue.Features {
	return queue.Features{
		Name: "rocketmq", Await: b.cfg.Await, ReceiveMax: receiveMax, LeaseMin: b.cfg.LeaseMin, LeaseMax: leaseMax,
		RedeliveryDelayMax: redeliveryDelayMax, GivesUp: true, DeadLetterPrefix: deadLetterPrefix,
	}
}

// Producer makes a producer.
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

// forget is called by what closes itself.
func (b *Broker) forget(c closer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = slices.DeleteFunc(b.open, func(o closer) bool { return o == c })
}

// Close closes all producers and consumers.
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
