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

// fakeBreaker rejects calls once it is open, and records the reported results.
type fakeBreaker struct {
	open     bool
	reported []error
}

var errOpen = errors.New("open")

func (f *fakeBreaker) Permit() error {
	if f.open {
		return errOpen
	}
	return nil
}
func (f *fakeBreaker) Report(err error)     { f.reported = append(f.reported, err) }
func (*fakeBreaker) Timeout() time.Duration { return time.Second }

// fakePort is a broker, a producer and a consumer in one. Every call returns err, or waits for its context if hangs is
// set.
type fakePort struct {
	err   error
	calls int
	hangs bool
}

func (p *fakePort) call(ctx context.Context) error {
	p.calls++
	if p.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return p.err
}
func (p *fakePort) Producer() (queue.Producer, error)                             { return p, nil }
func (p *fakePort) Consumer(string, string) (queue.Consumer, error)               { return p, nil }
func (*fakePort) Features() queue.Features                                        { return queue.Features{PollTimeout: 5 * time.Second} }
func (*fakePort) Close(context.Context) error                                     { return nil }
func (p *fakePort) Send(ctx context.Context, _ string, _ ...queue.Outgoing) error { return p.call(ctx) }
func (p *fakePort) Ack(ctx context.Context, _ ...queue.Message) error             { return p.call(ctx) }
func (p *fakePort) Release(ctx context.Context, _ ...queue.Message) error         { return p.call(ctx) }
func (p *fakePort) Receive(ctx context.Context, _ int, _ time.Duration) ([]queue.Message, error) {
	return nil, p.call(ctx)
}

// guard returns Send, Ack and Release by name, and Receive, all behind breakers.
func guard(t *testing.T, p *fakePort) (command, receive *fakeBreaker, commands map[string]func(context.Context) error, receiving func(context.Context) error) {
	t.Helper()
	command, receive = &fakeBreaker{}, &fakeBreaker{}
	b := queue.Guard(p, command, receive)
	producer, err1 := b.Producer()
	consumer, err2 := b.Consumer("topic", "group")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return command, receive, map[string]func(context.Context) error{
			"Send":    func(ctx context.Context) error { return producer.Send(ctx, "topic") },
			"Ack":     func(ctx context.Context) error { return consumer.Ack(ctx) },
			"Release": func(ctx context.Context) error { return consumer.Release(ctx) },
		}, func(ctx context.Context) error {
			_, err := consumer.Receive(ctx, 1, time.Minute)
			return err
		}
}

func TestGuard_OpenBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &fakePort{}
		command, receive, commands, receiving := guard(t, p)
		command.open, receive.open = true, true
		for name, call := range commands {
			if err := call(t.Context()); !errors.Is(err, queue.ErrUnavailable) || !errors.Is(err, errOpen) {
				t.Errorf("%s: %v", name, err)
			}
		}
		start := time.Now()
		if err := receiving(t.Context()); !errors.Is(err, queue.ErrUnavailable) {
			t.Errorf("Receive: %v", err)
		}
		if time.Since(start) < 100*time.Millisecond {
			t.Error("a loop around a rejected Receive would spin")
		}
		if p.calls != 0 || len(command.reported)+len(receive.reported) != 0 {
			t.Errorf("%d calls reached the broker; %v and %v were reported", p.calls, command.reported, receive.reported)
		}
	})
}

func TestGuard_ReportsOnlyUnavailable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		failed bool
	}{
		"done": {nil, false}, "full": {queue.ErrFull, false}, "rejected": {queue.ErrInvalid, false},
		"no such group": {queue.ErrUnknownGroup, false}, "closed": {queue.ErrClosed, false}, "unavailable": {queue.ErrUnavailable, true},
	} {
		command, receive, commands, receiving := guard(t, &fakePort{err: c.err})
		for call, f := range commands {
			if err := f(t.Context()); !errors.Is(err, c.err) {
				t.Errorf("%s, %s: %v", name, call, err)
			}
		}
		if err := receiving(t.Context()); !errors.Is(err, c.err) {
			t.Errorf("%s, Receive: %v", name, err)
		}
		for _, err := range append(command.reported, receive.reported...) {
			if (err != nil) != c.failed {
				t.Errorf("%s: reported %v", name, err)
			}
		}
		if len(command.reported) != len(commands) || len(receive.reported) != 1 {
			t.Errorf("%s: %d and %d reports", name, len(command.reported), len(receive.reported))
		}
	}
}

func TestGuard_HangingBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		command, receive, commands, receiving := guard(t, &fakePort{hangs: true})
		start := time.Now()
		if err := commands["Send"](t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Send returned %v after %s", err, time.Since(start))
		}
		start = time.Now()
		if err := receiving(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 6*time.Second {
			t.Errorf("Receive returned %v after %s", err, time.Since(start))
		}
		if command.reported[0] == nil || receive.reported[0] == nil {
			t.Error("the timeout was not reported to the breakers")
		}
		// A caller that gives up while it waits for messages is not a failure of the broker.
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		_ = receiving(ctx)
		if last := receive.reported[1]; !errors.Is(last, breaker.ErrCallerLeft) {
			t.Errorf("reported %v for a caller that gave up", last)
		}
	})
}
