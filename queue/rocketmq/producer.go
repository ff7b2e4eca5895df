package rocketmq

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/internal/read"
)

const (
	// maxBatchBytes and maxBatchMessages bound one batch. The broker's maximum of 4 MiB applies to the whole batch.
	maxBatchBytes    = 2 << 20
	maxBatchMessages = 64
)

// producer is a queue.Producer.
type producer struct {
	b     *Broker
	link  *link
	calls *read.Calls
	host  string
}

func newProducer(b *Broker) *producer {
	// The host helps an operator who inspects a message; it may be empty.
	host, _ := os.Hostname()
	return &producer{b: b, link: newLink(b.cfg.Endpoint, b.cfg.TLS, b.cfg.Credentials), calls: read.NewCalls(), host: host}
}

// Send implements queue.Producer.
func (p *producer) Send(ctx context.Context, topic string, messages ...queue.Outgoing) error {
	call, leave, err := p.calls.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := queue.CheckName("topic", topic); err != nil {
		return err
	}
	if messages, err = queue.Prepare(ctx, messages); err != nil {
		return err
	}
	for len(messages) > 0 {
		n := batchLen(messages)
		if err := p.send(call, topic, messages[:n]); err != nil {
			return translate(ctx, "send to "+topic, err)
		}
		messages = messages[n:]
	}
	return nil
}

// batchLen returns the number of messages that fit into a batch, at least one.
func batchLen(messages []queue.Outgoing) int {
	sum := 0
	for i, m := range messages {
		sum += len(m.Body)
		if i > 0 && (sum > maxBatchBytes || i == maxBatchMessages) {
			return i
		}
	}
	return len(messages)
}

// send stores a batch atomically.
func (p *producer) send(ctx context.Context, topic string, messages []queue.Outgoing) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	api, err := p.link.api()
	if err != nil {
		return err
	}
	req := &v2.SendMessageRequest{Messages: make([]*v2.Message, len(messages))}
	for i, m := range messages {
		req.Messages[i] = p.message(topic, m)
	}
	reply, err := api.SendMessage(ctx, req)
	p.link.note(err)
	if err != nil {
		return err
	}
	return stored(reply, len(messages))
}

func (p *producer) message(topic string, m queue.Outgoing) *v2.Message {
	return &v2.Message{
		Topic:          resource(topic),
		Body:           m.Body,
		UserProperties: m.Headers,
		SystemProperties: &v2.SystemProperties{
			MessageId: rand.Text(), MessageType: v2.MessageType_NORMAL, BodyEncoding: v2.Encoding_IDENTITY,
			BornTimestamp: timestamppb.Now(), BornHost: p.host,
		},
	}
}

// stored returns nil if all n messages are stored. A batch has one status, or one for each message.
func stored(reply *v2.SendMessageResponse, n int) error {
	if err := check(reply.GetStatus()); err != nil {
		return err
	}
	var errs []error
	for _, e := range reply.GetEntries() {
		errs = append(errs, check(e.GetStatus()))
	}
	if len(errs) == 0 {
		return fmt.Errorf("the proxy returned no status for %d messages", n)
	}
	return errors.Join(errs...)
}

// Close implements queue.Producer.
func (p *producer) Close(ctx context.Context) error {
	p.b.forget(p)
	return errors.Join(p.calls.Close(ctx), p.link.close())
}
