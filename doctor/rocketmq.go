package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spillway/spillway/queue"
)

var (
	needsRocketMQ = []string{"rocketmq.reachable"}

	rocketmqChecks = []Check{
		{"rocketmq.reachable", "The proxy is reached, and accepts the user.", nil, checkRocketMQ},
		{"rocketmq.tls", "TLS is spoken to a proxy on another machine.", nil, checkRocketMQTLS},
		{"rocketmq.topic", "The topic exists (`--topic`), takes messages of the type NORMAL, and can be read and written.", needsRocketMQ, checkTopic},
		{"rocketmq.groups", "The groups of this process's workers exist.", needsRocketMQ, checkGroups},
		{
			"rocketmq.retries",
			"A message is delivered often enough that no outage makes it a dead letter (`retryMaxTimes`).",
			[]string{"rocketmq.topic", "rocketmq.groups"},
			checkRetries,
		},
		{"rocketmq.dead-letters", "The groups' dead-letter topics can be read.", needsRocketMQ, checkDeadLetterTopics},
	}
)

// ErrUntrusted means that TLS with the proxy failed in a way that no retry changes.
var ErrUntrusted = errors.New("no trusted TLS connection")

func queueAdvice(err error) string {
	switch {
	case errors.Is(err, queue.ErrUnauthorized):
		return "name a user that may Pub and Sub the topic and Sub the groups: --rocketmq-access-key, --rocketmq-secret-key-file; docs/operations.md has the rights"
	case errors.Is(err, ErrUntrusted):
		return "--rocketmq-ca-file must have the authority that signed its certificate, and --rocketmq (SPILLWAY_ROCKETMQ) a name in that"
	}
	return "start the broker and its proxy, or correct the address: --rocketmq (SPILLWAY_ROCKETMQ)"
}

func checkRocketMQ(ctx context.Context, s *session) Result {
	if _, err := s.cfg.Queue.Probe.Topic(ctx, s.cfg.Queue.Topic); err != nil {
		return fail(queueAdvice(err), "%v", err)
	}
	return ok("the proxy at %s responds", s.cfg.Queue.Addr)
}

func checkRocketMQTLS(_ context.Context, s *session) Result {
	r, good := localOrTLS("RocketMQ", s.cfg.Queue.Addr, s.cfg.Queue.TLS)
	if !good {
		return plainText("RocketMQ", s.cfg.Queue.Addr, "--rocketmq-tls (SPILLWAY_ROCKETMQ_TLS)")
	}
	return r
}

func checkTopic(ctx context.Context, s *session) Result {
	name := s.cfg.Queue.Topic
	t, err := s.cfg.Queue.Probe.Topic(ctx, name)
	switch {
	case err != nil:
		return fail(queueAdvice(err), "%v", err)
	case !t.Found:
		return fail(
			fmt.Sprintf("`mqadmin updateTopic -n NAMESRV:9876 -c CLUSTER -t %s -a +message.type=NORMAL`, or correct --topic (SPILLWAY_TOPIC)", name),
			"there is no topic %s",
			name,
		)
	case !t.Normal:
		return fail(fmt.Sprintf("`mqadmin updateTopic -n NAMESRV:9876 -c CLUSTER -t %s -p 6 -a +message.type=NORMAL`", name),
			"the topic %s does not take messages of the type NORMAL, or cannot be read and written", name)
	}
	return ok("%s has %d queues", name, t.Queues)
}

// groups are all groups of the process.
func (q *Queue) groups() []string {
	if q.DrainGroup == "" {
		return q.Groups
	}
	return append(slices.Clone(q.Groups), q.DrainGroup)
}

func checkGroups(ctx context.Context, s *session) Result {
	q := s.cfg.Queue
	if len(q.groups()) == 0 {
		return unused("no worker of this process reads the queue")
	}
	var missing []string
	for _, group := range q.groups() {
		_, err := q.Probe.MaxAttempts(ctx, q.Topic, group)
		if errors.Is(err, queue.ErrUnknownGroup) {
			missing = append(missing, group)
		} else if err != nil {
			return fail(queueAdvice(err), "%v", err)
		}
	}
	if len(missing) > 0 {
		return fail(fmt.Sprintf("`mqadmin updateSubGroup -n NAMESRV:9876 -c CLUSTER -g %s -r 1200`", missing[0]), "there is no group %s", strings.Join(missing, ", "))
	}
	return ok("the groups %s exist", strings.Join(q.groups(), ", "))
}

// safeAttempts is the number of deliveries below which an outage of some minutes makes messages dead letters.
const safeAttempts = 100

func checkRetries(ctx context.Context, s *session) Result {
	q := s.cfg.Queue
	var few []string
	for _, group := range q.groups() {
		n, err := q.Probe.MaxAttempts(ctx, q.Topic, group)
		if err != nil {
			return fail(queueAdvice(err), "%v", err)
		}
		if n > 0 && n < safeAttempts {
			few = append(few, fmt.Sprintf("%s (%d)", group, n))
		}
	}
	if len(few) > 0 {
		group, _, _ := strings.Cut(few[0], " ")
		return warn(fmt.Sprintf("`mqadmin updateSubGroup -n NAMESRV:9876 -c CLUSTER -g %s -r 1200`", group),
			"an outage of minutes makes messages dead letters of %s, after so many deliveries", strings.Join(few, ", "))
	}
	return ok("each group has %d deliveries or more", safeAttempts)
}

func checkDeadLetterTopics(ctx context.Context, s *session) Result {
	q := s.cfg.Queue
	if len(q.DeadLetterTopics) == 0 {
		return unused("this process does not run the worker dead-letter-drain")
	}
	for _, name := range q.DeadLetterTopics {
		t, err := q.Probe.Topic(ctx, name)
		if err != nil {
			return fail(queueAdvice(err), "%v", err)
		}
		if !t.Found {
			return warn(
				fmt.Sprintf("`mqadmin updateTopic -n NAMESRV:9876 -c CLUSTER -t '%s' -p 6`", name),
				"there is no topic %s: dead letters of its group are not seen",
				name,
			)
		}
	}
	return ok("%s can be read", strings.Join(q.DeadLetterTopics, ", "))
}
