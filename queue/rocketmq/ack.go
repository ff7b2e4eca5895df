package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	v2 "github.com/apache/rocketmq-clients/golang/v5/protocol/v2"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/spillway/spillway/queue"
)

// releaseAfter is the remaining lease of a released message. The broker takes about as long to find expired leases.
const releaseAfter = time.Second

// Ack implements queue.Consumer.
func (c *consumer) Ack(ctx context.Context, messages ...queue.Message) error {
	call, leave, err := c.calls.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for len(messages) > 0 {
		n := min(len(messages), maxReceive)
		if err := c.ack(call, messages[:n]); err != nil {
			return translate(ctx, fmt.Sprintf("acknowledge to %s for %s", c.topic, c.group), err)
		}
		messages = messages[n:]
	}
	return nil
}

func (c *consumer) ack(ctx context.Context, messages []queue.Message) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	api, err := c.link.api()
	if err != nil {
		return err
	}
	req := &v2.AckMessageRequest{Group: resource(c.group), Topic: resource(c.topic)}
	for _, m := range messages {
		if receipt, ok := m.Receipt.(string); ok {
			req.Entries = append(req.Entries, &v2.AckMessageEntry{MessageId: m.ID, ReceiptHandle: receipt})
		}
	}
	reply, err := api.AckMessage(ctx, req)
	c.link.note(err)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range reply.GetEntries() {
		// An expired lease is no error: the message has been or will be redelivered.
		if err := check(e.GetStatus()); codeOf(err) != v2.Code_INVALID_RECEIPT_HANDLE {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 && len(reply.GetEntries()) == 0 {
		return check(reply.GetStatus())
	}
	return errors.Join(errs...)
}

// Release implements queue.Consumer.
func (c *consumer) Release(ctx context.Context, messages ...queue.Message) error {
	call, leave, err := c.calls.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return translate(ctx, fmt.Sprintf("release to %s for %s", c.topic, c.group), c.release(call, messages))
}

func (c *consumer) release(ctx context.Context, messages []queue.Message) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	api, err := c.link.api()
	if err != nil {
		return err
	}
	for _, m := range messages {
		receipt, ok := m.Receipt.(string)
		if !ok {
			continue
		}
		reply, err := api.ChangeInvisibleDuration(ctx, &v2.ChangeInvisibleDurationRequest{
			Group: resource(c.group), Topic: resource(c.topic), MessageId: m.ID, ReceiptHandle: receipt,
			InvisibleDuration: durationpb.New(releaseAfter),
		})
		c.link.note(err)
		if err == nil {
			err = check(reply.GetStatus())
		}
		if err != nil && codeOf(err) != v2.Code_INVALID_RECEIPT_HANDLE {
			return err
		}
	}
	return nil
}

// releaseLate releases messages that arrived after their caller had given up.
func (c *consumer) releaseLate(ctx context.Context, messages []queue.Message) {
	if err := c.release(ctx, messages); err != nil {
		c.b.log.WarnContext(ctx, "failed to release late messages; they are redelivered when their lease expires",
			"topic", c.topic, "group", c.group, "messages", len(messages), "error", err)
	}
}
