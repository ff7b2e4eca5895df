package doctor

import (
	"context"
	"fmt"
	"testing"

	"github.com/spillway/spillway/queue"
)

// fakeQueue has the topics and the groups in it.
type fakeQueue struct {
	topics map[string]Topic
	groups map[string]int
	err    error
}

func (q fakeQueue) Topic(_ context.Context, name string) (Topic, error) { return q.topics[name], q.err }

func (q fakeQueue) MaxAttempts(_ context.Context, _, group string) (int, error) {
	n, found := q.groups[group]
	if !found && q.err == nil {
		return 0, fmt.Errorf("%w: %s", queue.ErrUnknownGroup, group)
	}
	return n, q.err
}

// TestRocketMQ_Defects: what is wrong with topics, groups and access. app's test has a real one.
func TestRocketMQ_Defects(t *testing.T) {
	t.Parallel()
	good := Topic{Found: true, Queues: 4, Normal: true}
	of := func(q fakeQueue) *session {
		return newSession(Config{Queue: &Queue{
			Addr: "10.0.0.6:8081", Topic: "orders-topic", Groups: []string{"orders", "mail"}, DrainGroup: "dead-letters",
			DeadLetterTopics: []string{"%DLQ%orders"}, Probe: q,
		}})
	}
	groups := map[string]int{"orders": 1201, "mail": 1201, "dead-letters": 1201}
	fine := of(fakeQueue{topics: map[string]Topic{"orders-topic": good, "%DLQ%orders": good}, groups: groups})
	for _, name := range []string{"reachable", "topic", "groups", "retries", "dead-letters"} {
		want(t, fine, "rocketmq."+name, OK, "", "")
	}
	want(t, fine, "rocketmq.tls", Warn, "10.0.0.6", "--rocketmq-tls")
	fine.cfg.Queue.TLS = true
	want(t, fine, "rocketmq.tls", OK, "", "")

	empty := of(fakeQueue{groups: map[string]int{"orders": 17}})
	want(t, empty, "rocketmq.topic", Fail, "no topic orders-topic", "mqadmin updateTopic")
	want(t, empty, "rocketmq.groups", Fail, "no group mail, dead-letters", "mqadmin updateSubGroup -n NAMESRV:9876 -c CLUSTER -g mail")
	want(t, empty, "rocketmq.dead-letters", Warn, "%DLQ%orders", "'%DLQ%orders' -p 6")
	want(t, of(fakeQueue{topics: map[string]Topic{"orders-topic": {Found: true}}}), "rocketmq.topic", Fail, "NORMAL", "message.type=NORMAL")
	few := of(fakeQueue{groups: map[string]int{"orders": 17, "mail": 1201, "dead-letters": 3}})
	want(t, few, "rocketmq.retries", Warn, "orders (17), dead-letters (3)", "-g orders -r 1200")
	for _, c := range []struct {
		err error
		fix string
	}{{queue.ErrUnavailable, "--rocketmq (SPILLWAY_ROCKETMQ)"}, {queue.ErrUnauthorized, "--rocketmq-access-key"}, {ErrUntrusted, "--rocketmq-ca-file"}} {
		s := of(fakeQueue{err: fmt.Errorf("a call: %w", c.err)})
		for _, name := range []string{"reachable", "topic", "groups", "retries", "dead-letters"} {
			want(t, s, "rocketmq."+name, Fail, c.err.Error(), c.fix)
		}
	}
	none := newSession(Config{Queue: &Queue{Topic: "t", Probe: fakeQueue{}}})
	want(t, none, "rocketmq.groups", Skipped, "no worker", "")
	want(t, none, "rocketmq.dead-letters", Skipped, "dead-letter-drain", "")
}
