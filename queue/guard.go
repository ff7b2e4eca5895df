package queue

import (
	"context"
	"errors"
	"time"

	"github.com/spillway/spillway/breaker"
)

// Breaker guards the calls to a broker: one that is known not to answer is not asked.
type Breaker interface {
	breaker.Breaker
	// Timeout bounds one call; for Receive, beyond the time for which it waits for messages.
	Timeout() time.Duration
}

// refusedPause is how long Receive waits when the breaker refuses it, so that a loop around it does not spin. It is well below
// the delay after which a breaker lets a call try.
const refusedPause = 200 * time.Millisecond

// Guard puts breakers before every call to the broker: one before those that say something, and one before Receive. They are
// two, because a Receive waits for messages for seconds, and as the one trial of an open breaker would hold up all sending.
func Guard(b Broker, say, receive Breaker) Broker {
	return &guarded{Broker: b, say: say, receive: receive}
}

type guarded struct {
	Broker
	say, receive Breaker
}

// Producer implements Broker.
func (g *guarded) Producer() (Producer, error) {
	p, err := g.Broker.Producer()
	if err != nil {
		return nil, err
	}
	return guardedProducer{p, g.say}, nil
}

// Consumer implements Broker.
func (g *guarded) Consumer(topic, group string) (Consumer, error) {
	c, err := g.Broker.Consumer(topic, group)
	if err != nil {
		return nil, err
	}
	return guardedConsumer{Consumer: c, say: g.say, receive: g.receive, await: g.Features().Await}, nil
}

type guardedProducer struct {
	Producer
	say Breaker
}

// Send implements Producer.
func (p guardedProducer) Send(ctx context.Context, topic string, messages ...Outgoing) error {
	return call(ctx, p.say, 0, func(ctx context.Context) error { return p.Producer.Send(ctx, topic, messages...) })
}

type guardedConsumer struct {
	Consumer
	say, receive Breaker
	await        time.Duration
}

// Receive implements Consumer.
func (c guardedConsumer) Receive(ctx context.Context, max int, lease time.Duration) (messages []Message, err error) {
	asked := false
	err = call(ctx, c.receive, c.await, func(ctx context.Context) (err error) {
		asked = true
		messages, err = c.Consumer.Receive(ctx, max, lease)
		return err
	})
	if !asked {
		pause := time.NewTimer(refusedPause)
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
	return call(ctx, c.say, 0, func(ctx context.Context) error { return c.Consumer.Ack(ctx, messages...) })
}

// Release implements Consumer.
func (c guardedConsumer) Release(ctx context.Context, messages ...Message) error {
	return call(ctx, c.say, 0, func(ctx context.Context) error { return c.Consumer.Release(ctx, messages...) })
}

// call runs f, which may wait for messages for a while, under the breaker.
func call(ctx context.Context, b Breaker, wait time.Duration, f func(ctx context.Context) error) error {
	var answer error
	sent := false
	err := breaker.DoBlocking(ctx, b, b.Timeout(), wait, func(ctx context.Context) error {
		sent, answer = true, f(ctx)
		if isAnswer(answer) {
			return nil
		}
		return answer
	})
	switch {
	case err == nil, sent:
		return answer
	case errors.Is(err, breaker.ErrCallerLeft):
		return err
	}
	return errors.Join(ErrUnavailable, err)
}

// isAnswer reports whether a call's result shows that the broker worked. A full topic, a name that it refuses and the like do.
func isAnswer(err error) bool {
	return !errors.Is(err, ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}
