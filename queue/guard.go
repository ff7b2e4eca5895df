package queue

import (
	"context"
	"errors"
	"time"

	"github.com/spillway/spillway/breaker"
)

// Breaker guards calls to a broker: it rejects them at once while the broker is known to be unavailable.
type Breaker interface {
	breaker.Breaker
	// Timeout is the maximum duration of one call; for Receive it is added to Features.PollTimeout.
	Timeout() time.Duration
}

// rejectedDelay is the time that Receive waits when the breaker rejects it, so that a loop around it does not spin. It
// is well below the delay after which a breaker lets a trial call pass.
const rejectedDelay = 200 * time.Millisecond

// Guard returns a Broker that puts a breaker before every call: receive before Receive, and command before Send, Ack
// and Release. They are separate because a Receive waits for messages for seconds, and as the single trial call of an
// open breaker it would hold up all sending.
func Guard(b Broker, command, receive Breaker) Broker {
	return &guarded{Broker: b, command: command, receive: receive}
}

type guarded struct {
	Broker
	command, receive Breaker
}

// Producer implements Broker.
func (g *guarded) Producer() (Producer, error) {
	p, err := g.Broker.Producer()
	if err != nil {
		return nil, err
	}
	return guardedProducer{p, g.command}, nil
}

// Consumer implements Broker.
func (g *guarded) Consumer(topic, group string) (Consumer, error) {
	c, err := g.Broker.Consumer(topic, group)
	if err != nil {
		return nil, err
	}
	return guardedConsumer{Consumer: c, command: g.command, receive: g.receive, pollTimeout: g.Features().PollTimeout}, nil
}

type guardedProducer struct {
	Producer
	command Breaker
}

// Send implements Producer.
func (p guardedProducer) Send(ctx context.Context, topic string, messages ...Outgoing) error {
	return call(ctx, p.command, 0, func(ctx context.Context) error { return p.Producer.Send(ctx, topic, messages...) })
}

type guardedConsumer struct {
	Consumer
	command, receive Breaker
	pollTimeout      time.Duration
}

// Receive implements Consumer.
func (c guardedConsumer) Receive(ctx context.Context, max int, lease time.Duration) (messages []Message, err error) {
	called := false
	err = call(ctx, c.receive, c.pollTimeout, func(ctx context.Context) (err error) {
		called = true
		messages, err = c.Consumer.Receive(ctx, max, lease)
		return err
	})
	if !called {
		pause := time.NewTimer(rejectedDelay)
		defer pause.Stop()
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
	}
	return messages, err
}

// Ack implements Consumer.
func (c guardedConsumer) Ack(ctx context.Context, messages ...Message) error {
	return call(ctx, c.command, 0, func(ctx context.Context) error { return c.Consumer.Ack(ctx, messages...) })
}

// Release implements Consumer.
func (c guardedConsumer) Release(ctx context.Context, messages ...Message) error {
	return call(ctx, c.command, 0, func(ctx context.Context) error { return c.Consumer.Release(ctx, messages...) })
}

// call runs f under the breaker. wait is the time that f may wait for messages in addition to the breaker's timeout.
func call(ctx context.Context, b Breaker, wait time.Duration, f func(ctx context.Context) error) error {
	var result error
	sent := false
	err := breaker.DoBlocking(ctx, b, b.Timeout(), wait, func(ctx context.Context) error {
		sent, result = true, f(ctx)
		if isResult(result) {
			return nil
		}
		return result
	})
	switch {
	case err == nil, sent:
		return result
	case errors.Is(err, breaker.ErrCallerLeft):
		return err
	}
	return errors.Join(ErrUnavailable, err)
}

// isResult reports whether a call's result shows that the broker worked. A full topic or a rejected name does, for
// example.
func isResult(err error) bool {
	return !errors.Is(err, ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}
