package app

import (
	"context"
	"crypto/tls"
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
	TLS                  bool
	CAFile               string // PEM file of the authorities that sign its certificate; empty: those of the system
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
	_, err := c.rocketMQ()
	return errors.Join(hostPort("--rocketmq", c.RocketMQ), err)
}

// rocketMQ is the configuration of the adapter. Errors do not contain secrets.
func (c QueueConfig) rocketMQ() (rocketmq.Config, error) {
	cfg := rocketmq.Config{Endpoint: c.RocketMQ, Credentials: rocketmq.Credentials{AccessKey: c.AccessKey, SecretKey: c.SecretKey}}
	if c.TLS {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	} else if c.CAFile != "" {
		return cfg, errors.New("--rocketmq-ca-file needs --rocketmq-tls")
	}
	return cfg, trust(cfg.TLS, "--rocketmq-ca-file", c.CAFile)
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

// openQueue makes the broker that the configuration names for the workers, with the defect that it names.
func openQueue(ctx context.Context, cfg QueueConfig, workers []string, redis *redisconn.Conn, namespace string, log *slog.Logger) (queue.Broker, error) {
	b, err := connectQueue(ctx, cfg, workers, redis, namespace, log)
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

func connectQueue(
	ctx context.Context, cfg QueueConfig, workers []string, redis *redisconn.Conn, namespace string, log *slog.Logger,
) (queue.Broker, error) {
	if cfg.RocketMQ != "" {
		return connectRocketMQ(ctx, cfg, workers, log)
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
	broker, err := openQueue(ctx, c.Queue, c.Workers, deps.redis, c.Redis.Namespace, deps.log)
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
