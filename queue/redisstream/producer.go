package redisstream

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/internal/read"
)

// maxSendBytes is the maximum size of one pipeline, so that other commands on the connection are not delayed for long.
const maxSendBytes = 4 << 20

// producer is a queue.Producer.
type producer struct {
	b     *Broker
	calls *read.Calls

	mu sync.Mutex
	// full is the set of topics that were at their maximum when last measured.
	full map[string]bool
}

func newProducer(b *Broker) *producer {
	return &producer{b: b, calls: read.NewCalls(), full: make(map[string]bool)}
}

// Send implements queue.Producer.
func (p *producer) Send(ctx context.Context, topic string, messages ...queue.Outgoing) error {
	call, leave, err := p.calls.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if _, ok := p.b.cfg.Topics[topic]; !ok {
		return fmt.Errorf("%w: topic %q is not declared in Config.Topics", queue.ErrInvalid, topic)
	}
	if messages, err = queue.Prepare(ctx, messages); err != nil {
		return err
	}
	if err := p.checkRoom(call, topic); err != nil {
		return translate(ctx, "send to "+topic, err)
	}
	for len(messages) > 0 {
		n := pipelineLen(messages)
		if err := p.add(call, topic, messages[:n]); err != nil {
			return translate(ctx, "send to "+topic, err)
		}
		messages = messages[n:]
	}
	return nil
}

// pipelineLen returns the number of messages that fit into a pipeline, at least one.
func pipelineLen(messages []queue.Outgoing) int {
	sum := 0
	for i, m := range messages {
		sum += len(m.Body)
		if i > 0 && sum > maxSendBytes {
			return i
		}
	}
	return len(messages)
}

// add stores the messages and measures the length of the stream.
func (p *producer) add(ctx context.Context, topic string, messages []queue.Outgoing) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	cmds := make(rueidis.Commands, 0, len(messages)+1)
	for _, m := range messages {
		cmds = append(cmds, p.b.add(topic, m))
	}
	cmds = append(cmds, p.b.client.B().Xlen().Key(p.b.cfg.Key(topic)).Build())
	results := p.b.client.DoMulti(ctx, cmds...)
	for _, r := range results[:len(messages)] {
		if err := r.Error(); err != nil {
			return err
		}
	}
	// The messages are stored, even if the length is unknown.
	if length, err := results[len(messages)].AsInt64(); err == nil {
		p.note(topic, length)
	}
	return nil
}

// checkRoom fails with queue.ErrFull while the topic is at its maximum. It sends a command only for a topic that was
// full.
func (p *producer) checkRoom(ctx context.Context, topic string) error {
	p.mu.Lock()
	full := p.full[topic]
	p.mu.Unlock()
	if !full {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	length, err := p.b.client.Do(ctx, p.b.client.B().Xlen().Key(p.b.cfg.Key(topic)).Build()).AsInt64()
	if err != nil {
		return err
	}
	if p.note(topic, length) {
		return fmt.Errorf("%w: topic %q holds %d messages of at most %d: its consumers are behind", queue.ErrFull, topic, length, p.b.cfg.MaxMessages)
	}
	return nil
}

func (p *producer) note(topic string, length int64) (full bool) {
	full = length >= p.b.cfg.MaxMessages
	p.mu.Lock()
	defer p.mu.Unlock()
	p.full[topic] = full
	return full
}

// Close implements queue.Producer.
func (p *producer) Close(ctx context.Context) error {
	p.b.forget(p)
	return p.calls.Close(ctx)
}
