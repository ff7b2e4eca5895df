package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/redisstream"
	"github.com/spillway/spillway/queue/rocketmq"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/store"
)

// QueueConfig locates the queue.
type QueueConfig struct {
	RocketMQ string // HOST:PORT of the gRPC proxy of a RocketMQ 5; empty: streams in Redis
	// AccessKey and SecretKey are a user of RocketMQ; empty: it does not authenticate.
	AccessKey, SecretKey string
	Topic                string // topic of order events
	Drop                 string // GROUP:N loses every Nth message of the group, for tests; empty: none
}

func (c QueueConfig) validate() error {
	if _, _, err := c.drop(); err != nil {
		return err
	}
	if (c.AccessKey == "") != (c.SecretKey == "") {
		return errors.New("--rocketmq-access-key and --rocketmq-secret-key go together")
	}
	if c.RocketMQ == "" {
		return nil
	}
	return hostPort("--rocketmq", c.RocketMQ)
}

// The groups that read the topic of order events.
const (
	groupOrders   = "orders"
	groupShipping = "shipping"
	groupMail     = "mail"
)

// groupDrain reads the dead-letter topics of these groups. It is another one, because a message brings its count of attempts with it.
const groupDrain = "dead-letters"

// closeTimeout bounds the closing of the queue: RocketMQ's client waits for what is under way.
const closeTimeout = 10 * time.Second

// openQueue makes the broker that the configuration names, with the defect that it names.
func openQueue(cfg QueueConfig, redis *redisconn.Conn, namespace string, log *slog.Logger) (queue.Broker, error) {
	b, err := connectQueue(cfg, redis, namespace, log)
	if err != nil || cfg.Drop == "" {
		return b, err
	}
	group, nth, err := cfg.drop()
	return queue.Drop(b, group, nth, log), err
}

// drop parses Drop.
func (c QueueConfig) drop() (group string, nth int64, err error) {
	if c.Drop == "" {
		return "", 0, nil
	}
	group, number, _ := strings.Cut(c.Drop, ":")
	nth, err = strconv.ParseInt(number, 10, 64)
	if err != nil || nth < 1 || !slices.Contains([]string{groupOrders, groupShipping, groupMail}, group) {
		return "", 0, fmt.Errorf("--simulate-queue-drop %q: must be orders, shipping or mail, a colon, and a number from 1, such as orders:5", c.Drop)
	}
	return group, nth, nil
}

func connectQueue(cfg QueueConfig, redis *redisconn.Conn, namespace string, log *slog.Logger) (queue.Broker, error) {
	if cfg.RocketMQ != "" {
		b, err := rocketmq.New(rocketmq.Config{
			Endpoint: cfg.RocketMQ, Log: log, Credentials: rocketmq.Credentials{AccessKey: cfg.AccessKey, SecretKey: cfg.SecretKey},
		})
		if err != nil {
			return nil, fmt.Errorf("rocketmq at %s: %w", cfg.RocketMQ, err)
		}
		return b, nil
	}
	return redisstream.New(redis.Client(), redisstream.Config{
		Topics: map[string][]string{cfg.Topic: {groupOrders, groupShipping, groupMail}}, Log: log,
		Key: func(topic string) string { return "{" + namespace + ":queue:" + topic + "}" },
	})
}

// openBroker opens the queue behind its breakers, for the messages of this shop only. The dependencies close it.
func (deps *dependencies) openBroker(ctx context.Context, c Config) (queue.Broker, error) {
	shop, err := store.NewSettings(deps.db).ShopID(ctx)
	if err != nil {
		return nil, err
	}
	broker, err := openQueue(c.Queue, deps.redis, c.Redis.Namespace, deps.log)
	if err != nil {
		return nil, err
	}
	deps.closers = append(deps.closers, closeQueue(broker))
	own, err := queue.ForShop(queue.Guard(broker, deps.policies[breaker.Queue], deps.policies[breaker.QueueReceive]), shop, deps.log)
	if err != nil {
		return nil, err
	}
	return queue.Traced(own), nil
}

func closeQueue(b queue.Broker) func() error {
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		return b.Close(ctx)
	}
}
