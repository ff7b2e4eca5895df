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
	// batchBytesMax and batchMessagesMax bound what one call stores together. The broker's bound of 4 MiB is for the whole batch.
	batchBytesMax    = 2 << 20
	batchMessagesMax = 64
)

// producer is a queue.Producer.
type producer struct {
	b     *Broker
	link  *link
	calls *read.Calls
	host  string
}

func newProducer(b *Broker) *producer {
	// The host is for whoever looks at a message; without a name it works as well.
	host, _ := os.Hostname()
	return &producer{b: b, link: newLink(b.cfg.Endpoint, b.cfg.TLS), calls: read.NewCalls(), host: host}
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

// batchLen is how many of the messages, at least one, fit into a batch.
func batchLen(messages []queue.Outgoing) int {
	sum := 0
	for i, m := range messages {
		sum += len(m.Body)
		if i > 0 && (sum > batchBytesMax || i == batchMessagesMax) {
			return i
		}
	}
	return len(messages)
}

// send stores a batch, all of it or none.
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
	answer, err := api.SendMessage(ctx, req)
	p.link.note(err)
	if err != nil {
		return err
	}
	return stored(answer, len(messages))
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

// stored says whether all n messages are stored. A batch has one answer or one for each message.
func stored(answer *v2.SendMessageResponse, n int) error {
	if err := check(answer.GetStatus()); err != nil {
		return err
	}
	var errs []error
	for _, e := range answer.GetEntries() {
		errs = append(errs, check(e.GetStatus()))
	}
	if len(errs) == 0 {
		return fmt.Errorf("the proxy answered nothing about %d messages", n)
	}
	return errors.Join(errs...)
}

// Close implements queue.Producer.
func (p *producer) Close(ctx context.Context) error {
	p.b.forget(p)
	return errors.Join(p.calls.Close(ctx), p.link.close())
}
