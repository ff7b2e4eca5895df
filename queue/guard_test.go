package queue_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/queue"
)

// fuse is a breaker that refuses once it is blown, and remembers what it was told.
type fuse struct {
	blown    bool
	reported []error
}

var errBlown = errors.New("blown")

func (f *fuse) Permit() error {
	if f.blown {
		return errBlown
	}
	return nil
}
func (f *fuse) Report(err error)     { f.reported = append(f.reported, err) }
func (*fuse) Timeout() time.Duration { return time.Second }

// port is a broker, a producer and a consumer in one, which answers everything with err.
type port struct {
	err   error
	calls int
	hangs bool
}

func (p *port) answer(ctx context.Context) error {
	p.calls++
	if p.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return p.err
}
func (p *port) Producer() (queue.Producer, error)                             { return p, nil }
func (p *port) Consumer(string, string) (queue.Consumer, error)               { return p, nil }
func (*port) Features() queue.Features                                        { return queue.Features{Await: 5 * time.Second} }
func (*port) Close(context.Context) error                                     { return nil }
func (p *port) Send(ctx context.Context, _ string, _ ...queue.Outgoing) error { return p.answer(ctx) }
func (p *port) Ack(ctx context.Context, _ ...queue.Message) error             { return p.answer(ctx) }
func (p *port) Release(ctx context.Context, _ ...queue.Message) error         { return p.answer(ctx) }
func (p *port) Receive(ctx context.Context, _ int, _ time.Duration) ([]queue.Message, error) {
	return nil, p.answer(ctx)
}

// guard returns the calls that say something, and Receive, all behind breakers.
func guard(t *testing.T, p *port) (say, receive *fuse, saying map[string]func(context.Context) error, receiving func(context.Context) error) {
	t.Helper()
	say, receive = &fuse{}, &fuse{}
	b := queue.Guard(p, say, receive)
	producer, err1 := b.Producer()
	consumer, err2 := b.Consumer("topic", "group")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return say, receive, map[string]func(context.Context) error{
			"Send":    func(ctx context.Context) error { return producer.Send(ctx, "topic") },
			"Ack":     func(ctx context.Context) error { return consumer.Ack(ctx) },
			"Release": func(ctx context.Context) error { return consumer.Release(ctx) },
		}, func(ctx context.Context) error {
			_, err := consumer.Receive(ctx, 1, time.Minute)
			return err
		}
}

func TestABlownBreakerKeepsCallsFromTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &port{}
		say, receive, saying, receiving := guard(t, p)
		say.blown, receive.blown = true, true
		for name, call := range saying {
			if err := call(t.Context()); !errors.Is(err, queue.ErrUnavailable) || !errors.Is(err, errBlown) {
				t.Errorf("%s: %v", name, err)
			}
		}
		start := time.Now()
		if err := receiving(t.Context()); !errors.Is(err, queue.ErrUnavailable) {
			t.Errorf("Receive: %v", err)
		}
		if time.Since(start) < 100*time.Millisecond {
			t.Error("a loop around a refused Receive would spin")
		}
		if p.calls != 0 || len(say.reported)+len(receive.reported) != 0 {
			t.Errorf("%d calls reached the broker; %v and %v were reported", p.calls, say.reported, receive.reported)
		}
	})
}

func TestOnlyAnAbsentBrokerIsReported(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		failed bool
	}{
		"done": {nil, false}, "full": {queue.ErrFull, false}, "refused": {queue.ErrInvalid, false},
		"no such group": {queue.ErrUnknownGroup, false}, "closed": {queue.ErrClosed, false}, "away": {queue.ErrUnavailable, true},
	} {
		say, receive, saying, receiving := guard(t, &port{err: c.err})
		for call, f := range saying {
			if err := f(t.Context()); !errors.Is(err, c.err) {
				t.Errorf("%s, %s: %v", name, call, err)
			}
		}
		if err := receiving(t.Context()); !errors.Is(err, c.err) {
			t.Errorf("%s, Receive: %v", name, err)
		}
		for _, err := range append(say.reported, receive.reported...) {
			if (err != nil) != c.failed {
				t.Errorf("%s: reported %v", name, err)
			}
		}
		if len(say.reported) != len(saying) || len(receive.reported) != 1 {
			t.Errorf("%s: %d and %d reports", name, len(say.reported), len(receive.reported))
		}
	}
}

func TestABrokerThatDoesNotAnswerIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		say, receive, saying, receiving := guard(t, &port{hangs: true})
		start := time.Now()
		if err := saying["Send"](t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Send returned %v after %s", err, time.Since(start))
		}
		start = time.Now()
		if err := receiving(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 6*time.Second {
			t.Errorf("Receive returned %v after %s", err, time.Since(start))
		}
		if say.reported[0] == nil || receive.reported[0] == nil {
			t.Error("the breakers were not told")
		}
		// A caller that leaves while it waits for messages is not the broker's fault.
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		_ = receiving(ctx)
		if last := receive.reported[1]; !errors.Is(last, breaker.ErrCallerLeft) {
			t.Errorf("of a caller that left, %v was reported", last)
		}
	})
}
