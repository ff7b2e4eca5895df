package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/queue/internal/read"
)

// consumer is a queue.Consumer: a "simple consumer" in RocketMQ's terms.
type consumer struct {
	b            *Broker
	topic, group string
	link         *link
	session      *session
	calls        *read.Calls
	backoff      read.Backoff
	running      sync.WaitGroup
}

func newConsumer(b *Broker, topic, group string) *consumer {
	l := newLink(b.cfg.Endpoint, b.cfg.TLS, b.cfg.Credentials)
	return &consumer{
		b: b, topic: topic, group: group, link: l, calls: read.NewCalls(),
		session: newSession(l, topic, group, b.cfg.PollTimeout, b.log),
	}
}

// start runs the session until Close.
func (c *consumer) start() {
	c.running.Go(func() { c.session.run(c.calls.Closing()) })
}

// Receive implements queue.Consumer.
func (c *consumer) Receive(ctx context.Context, max int, lease time.Duration) ([]queue.Message, error) {
	if max < 1 || lease < c.b.cfg.MinLease || lease > maxLease {
		return nil, fmt.Errorf("%w: receive %d messages for %v: request at least one, for %v to %v", queue.ErrInvalid, max, lease, c.b.cfg.MinLease, maxLease)
	}
	if err := c.backoff.Wait(ctx); err != nil {
		return nil, err
	}
	messages, err := c.calls.Do(ctx, func(ctx context.Context) ([]queue.Message, error) {
		return c.read(ctx, min(max, maxReceive), lease)
	}, c.releaseLate)
	c.backoff.Record(ctx, err)
	return messages, translate(ctx, fmt.Sprintf("receive from %s for %s", c.topic, c.group), err)
}

// read polls once, as soon as the session is up.
func (c *consumer) read(ctx context.Context, max int, lease time.Duration) ([]queue.Message, error) {
	if err := c.session.wait(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.b.cfg.PollTimeout+opTimeout)
	defer cancel()
	messages, err := c.poll(ctx, max, lease)
	c.link.note(err)
	switch {
	case len(messages) > 0:
		// They are leased to the caller, whatever happened next.
		return messages, nil
	case err == nil || codeOf(err) == v2.Code_MESSAGE_NOT_FOUND:
		return nil, nil
	case codeOf(err) != v2.Code_TOO_MANY_REQUESTS:
		c.session.renew()
	}
	return nil, err
}

// poll is one long poll. The proxy sends a status, the messages and a time, in any order.
func (c *consumer) poll(ctx context.Context, max int, lease time.Duration) ([]queue.Message, error) {
	api, err := c.link.api()
	if err != nil {
		return nil, err
	}
	stream, err := api.ReceiveMessage(ctx, &v2.ReceiveMessageRequest{
		Group: resource(c.group),
		// Without a broker's name the proxy selects one round robin.
		MessageQueue:       &v2.MessageQueue{Topic: resource(c.topic), Broker: &v2.Broker{}},
		FilterExpression:   everything(),
		BatchSize:          int32(max), //nolint:gosec // At most maxReceive.
		InvisibleDuration:  durationpb.New(lease),
		LongPollingTimeout: durationpb.New(c.b.cfg.PollTimeout),
	})
	if err != nil {
		return nil, err
	}
	var messages []queue.Message
	var reply error
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return messages, reply
		}
		if err != nil {
			return messages, err
		}
		switch content := part.GetContent().(type) {
		case *v2.ReceiveMessageResponse_Status:
			reply = check(content.Status)
		case *v2.ReceiveMessageResponse_Message:
			messages = append(messages, received(content.Message))
		}
	}
}

func received(m *v2.Message) queue.Message {
	p := m.GetSystemProperties()
	headers := m.GetUserProperties()
	if headers == nil {
		headers = make(map[string]string)
	}
	return queue.Message{
		ID: p.GetMessageId(), Body: m.GetBody(), Headers: headers, Attempt: max(1, int(p.GetDeliveryAttempt())), Receipt: p.GetReceiptHandle(),
	}
}

// Close implements queue.Consumer.
func (c *consumer) Close(ctx context.Context) error {
	c.b.forget(c)
	err := c.calls.Close(ctx)
	c.running.Wait()
	return errors.Join(err, c.link.close())
}
