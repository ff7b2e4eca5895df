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

// consumer is a queue.Consumer: a simple consumer, in RocketMQ's words.
type consumer struct {
	b            *Broker
	topic, group string
	link         *link
	session      *session
	calls        *read.Calls
	pace         read.Pace
	running      sync.WaitGroup
}

func newConsumer(b *Broker, topic, group string) *consumer {
	l := newLink(b.cfg.Endpoint, b.cfg.TLS)
	return &consumer{
		b: b, topic: topic, group: group, link: l, calls: read.NewCalls(),
		session: newSession(l, topic, group, b.cfg.Await, b.log),
	}
}

// start keeps the session up until Close.
func (c *consumer) start() {
	c.running.Go(func() { c.session.run(c.calls.Closing()) })
}

// Receive implements queue.Consumer.
func (c *consumer) Receive(ctx context.Context, max int, lease time.Duration) ([]queue.Message, error) {
	if max < 1 || lease < c.b.cfg.LeaseMin || lease > leaseMax {
		return nil, fmt.Errorf("%w: receive %d messages for %v: ask for at least one, for %v to %v", queue.ErrInvalid, max, lease, c.b.cfg.LeaseMin, leaseMax)
	}
	if err := c.pace.Wait(ctx); err != nil {
		return nil, err
	}
	messages, err := c.calls.Do(ctx, func(ctx context.Context) ([]queue.Message, error) {
		return c.read(ctx, min(max, receiveMax), lease)
	}, c.giveBack)
	c.pace.Note(ctx, err)
	return messages, translate(ctx, fmt.Sprintf("receive from %s for %s", c.topic, c.group), err)
}

// read asks once, as soon as the session is up.
func (c *consumer) read(ctx context.Context, max int, lease time.Duration) ([]queue.Message, error) {
	if err := c.session.wait(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.b.cfg.Await+opTimeout)
	defer cancel()
	messages, err := c.poll(ctx, max, lease)
	c.link.note(err)
	switch {
	case len(messages) > 0:
		// They are under a lease, so they are the caller's, whatever happened next.
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
		// Without a broker's name the proxy takes one by turns.
		MessageQueue:       &v2.MessageQueue{Topic: resource(c.topic), Broker: &v2.Broker{}},
		FilterExpression:   everything(),
		BatchSize:          int32(max), //nolint:gosec // At most receiveMax.
		InvisibleDuration:  durationpb.New(lease),
		LongPollingTimeout: durationpb.New(c.b.cfg.Await),
	})
	if err != nil {
		return nil, err
	}
	var messages []queue.Message
	var answer error
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return messages, answer
		}
		if err != nil {
			return messages, err
		}
		switch content := part.GetContent().(type) {
		case *v2.ReceiveMessageResponse_Status:
			answer = check(content.Status)
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
