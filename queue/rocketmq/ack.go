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

// releaseAfter is the lease that a released message keeps; a look for expired leases takes the broker about as long.
const releaseAfter = time.Second

// Ack implements queue.Consumer.
func (c *consumer) Ack(ctx context.Context, messages ...queue.Message) error {
	call, leave, err := c.calls.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for len(messages) > 0 {
		n := min(len(messages), receiveMax)
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
	answer, err := api.AckMessage(ctx, req)
	c.link.note(err)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range answer.GetEntries() {
		// An expired lease is no error: the message has come again, or will.
		if err := check(e.GetStatus()); codeOf(err) != v2.Code_INVALID_RECEIPT_HANDLE {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 && len(answer.GetEntries()) == 0 {
		return check(answer.GetStatus())
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
		answer, err := api.ChangeInvisibleDuration(ctx, &v2.ChangeInvisibleDurationRequest{
			Group: resource(c.group), Topic: resource(c.topic), MessageId: m.ID, ReceiptHandle: receipt,
			InvisibleDuration: durationpb.New(releaseAfter),
		})
		c.link.note(err)
		if err == nil {
			err = check(answer.GetStatus())
		}
		if err != nil && codeOf(err) != v2.Code_INVALID_RECEIPT_HANDLE {
			return err
		}
	}
	return nil
}

// giveBack releases what came after its caller had gone.
func (c *consumer) giveBack(ctx context.Context, messages []queue.Message) {
	if err := c.release(ctx, messages); err != nil {
		c.b.log.WarnContext(ctx, "messages that came too late were not released; they come when their lease has run out",
			"topic", c.topic, "group", c.group, "messages", len(messages), "error", err)
	}
}
