package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/rocketmq"
)

// checkTimeout bounds the check of RocketMQ at the start. A frozen broker delays the start by no more.
const checkTimeout = 3 * time.Second

// connectRocketMQ fails if the proxy refuses the shop. A proxy that is unavailable does not keep the shop from starting,
// because orders wait in the journal.
func connectRocketMQ(ctx context.Context, c QueueConfig, workers []string, log *slog.Logger) (*rocketmq.Broker, error) {
	cfg, err := c.rocketMQ()
	if err != nil {
		return nil, err
	}
	cfg.Log = log
	b, err := rocketmq.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("rocketmq at %s: %w", c.RocketMQ, err)
	}
	checking, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	topics, groups := c.access(workers, b.Features().DeadLetterPrefix)
	err = b.Check(checking, topics, groups)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, queue.ErrUnauthorized):
		return nil, fmt.Errorf("rocketmq at %s: %w; --rocketmq-access-key and --rocketmq-secret-key must be those of a user "+
			"that may Pub and Sub the topics %v, and Sub the groups %v", c.RocketMQ, err, topics, groups)
	case errors.Is(err, rocketmq.ErrUntrusted):
		return nil, fmt.Errorf("rocketmq at %s: %w; --rocketmq-ca-file must have the authority that signed its certificate, "+
			"and --rocketmq a name in that", c.RocketMQ, err)
	case err != nil:
		log.WarnContext(ctx, "RocketMQ is not ready; orders are taken and wait in the journal", "address", c.RocketMQ, "error", err)
	}
	return b, nil
}

// access lists the topics and groups that the workers use.
func (c QueueConfig) access(workers []string, deadLetterPrefix string) (topics, groups []string) {
	topics = []string{c.Topic}
	for worker, group := range map[string]string{workerWriter: groupOrders, workerShipper: groupShipping, workerMailer: groupMail} {
		if slices.Contains(workers, worker) {
			groups = append(groups, group)
		}
	}
	if slices.Contains(workers, workerDrain) {
		groups = append(groups, groupDrain)
		for _, group := range []string{groupOrders, groupShipping, groupMail} {
			topics = append(topics, deadLetterPrefix+group)
		}
	}
	slices.Sort(groups)
	return topics, groups
}
