package breaker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/order"
)

// testConfig is a policy for tests: four failures of eight calls open its breaker.
var testConfig = Config{Timeout: 30 * time.Millisecond, Failures: 4, Window: 8, Delay: time.Hour}

// waitTimeout bounds what tests wait for.
const waitTimeout = 30 * time.Second

// eventually waits until the condition holds, for at most waitTimeout.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline, tick := time.After(waitTimeout), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited %s for %s", waitTimeout, what)
		case <-tick.C:
		}
	}
}

// startFrozenServer starts a server that accepts connections and never responds.
func startFrozenServer(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var open []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			open = append(open, c)
		}
		for _, c := range open {
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// exchange sends a byte to the server and waits for one.
func exchange(ctx context.Context, addr string) (byte, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil && ctx.Err() != nil {
		return 0, ctx.Err() // As below: on a busy machine the timeout may end the dialing.
	}
	if err != nil {
		return 0, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if _, err := c.Write([]byte{1}); err != nil {
		return 0, err
	}
	var reply [1]byte
	if _, err = c.Read(reply[:]); err != nil && ctx.Err() != nil {
		return 0, ctx.Err() // Most clients return the context's error, which alone would be no failure.
	}
	return reply[0], err
}

func TestPolicy_FrozenDependencyOpensTheBreaker(t *testing.T) {
	p, addr := NewPolicy(Payment, testConfig), startFrozenServer(t)
	var calls atomic.Int64
	call := func() error {
		_, err := Call(t.Context(), p, func(ctx context.Context) (byte, error) {
			calls.Add(1)
			return exchange(ctx, addr)
		})
		return err
	}
	for range testConfig.Failures {
		err := call()
		if !errors.Is(err, order.ErrUnavailable) {
			t.Fatalf("a frozen dependency: %v; want ErrUnavailable", err)
		}
		if !errors.Is(err, order.ErrUnknownOutcome) || errors.Is(err, ErrNotSent) {
			t.Fatalf("a frozen dependency: %v; want an unknown outcome", err)
		}
	}
	if p.State() != "open" || calls.Load() != int64(testConfig.Failures) {
		t.Fatalf("after %d calls of a frozen dependency its breaker is %s", calls.Load(), p.State())
	}
	err := call()
	var retry *order.RetryError
	if !errors.As(err, &retry) || retry.After < time.Minute || retry.After > testConfig.Delay || errors.Is(err, order.ErrUnknownOutcome) {
		t.Errorf("an open breaker returns %v; want a retry hint", err)
	}
	if calls.Load() != int64(testConfig.Failures) {
		t.Error("the dependency was called although its breaker is open")
	}
	if err := p.Permit(); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("a permit of an open breaker: %v", err)
	}
}

func TestPolicy_BusinessResultsAreNoFailures(t *testing.T) {
	for _, result := range []error{
		nil, order.ErrInvalid, order.ErrNotFound, order.ErrAlreadyExists, order.ErrKeyReused, order.ErrFailedPrecondition, order.ErrOverloaded,
		context.Canceled,
		&order.SoldOutError{}, &order.DeclinedError{Code: "lost_card"}, &order.RatesTooOldError{}, &order.RetryError{Err: order.ErrOverloaded},
	} {
		wrapped := result
		if result != nil {
			wrapped = fmt.Errorf("somewhere: %w", result)
		}
		if IsFailure(wrapped) {
			t.Errorf("%v counts as a failure", result)
		}
		p := NewPolicy(Payment, testConfig)
		for range 3 * testConfig.Window {
			_, err := Call(t.Context(), p, func(context.Context) (int, error) { return 1, wrapped })
			if !errors.Is(err, result) {
				t.Fatalf("%v became %v", result, err)
			}
			p.Report(wrapped)
		}
		if p.State() != "closed" {
			t.Errorf("%v opened the breaker", result)
		}
	}
	for _, failure := range []error{order.ErrUnavailable, order.ErrUnknownOutcome, context.DeadlineExceeded, errors.New("broken pipe")} {
		if !IsFailure(fmt.Errorf("somewhere: %w", failure)) {
			t.Errorf("%v does not count as a failure", failure)
		}
	}
}

func TestPolicy_ShortCallerDeadlinesAreNoFailures(t *testing.T) {
	cfg := testConfig
	cfg.Timeout = time.Hour
	p := NewPolicy(Shipping, cfg)
	for range 3 * testConfig.Window {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := Call(ctx, p, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if p.State() != "closed" {
		t.Error("callers with short deadlines opened the breaker")
	}
}

func TestPolicy_CallerDeadlinesBeyondHalfTheTimeoutAreFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig
		cfg.Timeout = 100 * time.Millisecond
		p := NewPolicy(Shipping, cfg)
		for range testConfig.Window {
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond) // more than half of the timeout
			if _, err := Call(ctx, p, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }); err == nil {
				t.Fatal("a dependency that hangs responded")
			}
			cancel()
		}
		if p.State() != "open" {
			t.Errorf("after calls that hung for most of the timeout the breaker is %s", p.State())
		}
	})
}

// openBreaker reports failures until the policy's breaker is open.
func openBreaker(t *testing.T, p *Policy) {
	t.Helper()
	for range testConfig.Window {
		p.Report(order.ErrUnavailable)
	}
	if p.State() != "open" {
		t.Fatalf("the breaker is %s", p.State())
	}
}

func TestPolicy_OneTrialAtATime(t *testing.T) {
	cfg := testConfig
	cfg.Delay = time.Millisecond
	p := NewPolicy(Redis, cfg)
	openBreaker(t, p)
	eventually(t, "a trial", func() bool { return p.Permit() == nil })
	err := p.Permit()
	var retry *order.RetryError
	if !errors.As(err, &retry) || retry.After <= 0 {
		t.Fatalf("beside the trial: %v; want a retry hint", err)
	}
	p.Report(order.ErrUnavailable)
	if p.State() != "open" {
		t.Errorf("after a failed trial the breaker is %s", p.State())
	}
	eventually(t, "another trial", func() bool { return p.Permit() == nil })
	p.Report(nil)
	if p.State() != "closed" || p.Permit() != nil {
		t.Errorf("after a successful trial the breaker is %s", p.State())
	}
}

// TestPolicy_CallerLeft checks that callers that leave neither hide the failures of others nor end a trial.
func TestPolicy_CallerLeft(t *testing.T) {
	cfg := testConfig
	cfg.Delay = time.Millisecond
	p := NewPolicy(Redis, cfg)
	for range cfg.Failures {
		for range 3 * cfg.Window { // As successes, these would have pushed the failures out of the window.
			p.Report(ErrCallerLeft)
		}
		p.Report(order.ErrUnavailable)
	}
	if p.State() != "open" {
		t.Fatalf("after %d failures between callers that left the breaker is %s", cfg.Failures, p.State())
	}
	eventually(t, "a trial", func() bool { return p.Permit() == nil })
	p.Report(ErrCallerLeft)
	if p.State() != "half-open" {
		t.Errorf("after a trial whose caller left the breaker is %s", p.State())
	}
	if err := p.Permit(); err != nil {
		t.Errorf("the next caller gets no trial: %v", err)
	}
	if p.Permit() == nil {
		t.Error("two callers have a trial at once")
	}
	p.Report(nil)
	if p.State() != "closed" {
		t.Errorf("after a successful trial the breaker is %s", p.State())
	}
}

func TestCall_PanickedTrial(t *testing.T) {
	cfg := testConfig
	cfg.Delay = time.Millisecond
	p := NewPolicy(Mail, cfg)
	openBreaker(t, p)
	// trial reports whether the breaker permitted the call.
	trial := func(call func(context.Context) (int, error)) (permitted bool) {
		defer func() { _ = recover() }()
		_, _ = Call(t.Context(), p, func(ctx context.Context) (int, error) { permitted = true; return call(ctx) })
		return permitted
	}
	eventually(t, "a trial", func() bool {
		return trial(func(context.Context) (int, error) { panic("in the middle of a trial") })
	})
	eventually(t, "a trial after one that panicked", func() bool {
		return trial(func(context.Context) (int, error) { return 1, nil })
	})
	if p.State() != "closed" {
		t.Errorf("the breaker is %s", p.State())
	}
}

func TestCall_Results(t *testing.T) {
	p := NewPolicy(Mail, testConfig)
	if n, err := Call(t.Context(), p, func(context.Context) (int, error) { return 7, nil }); n != 7 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if none, err := Call(t.Context(), p, func(context.Context) (error, error) { return nil, nil }); none != nil || err != nil {
		t.Errorf("got %v, %v", none, err)
	}
	if n, err := Call(t.Context(), p, func(context.Context) (int, error) { return 7, order.ErrFailedPrecondition }); n != 0 ||
		!errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("a call that failed returned %d, %v", n, err)
	}
}

func TestDefaultPolicies_EveryDependency(t *testing.T) {
	policies := NewPolicies(DefaultPolicies())
	states := policies.States()
	for _, name := range []string{Redis, SQL, Queue, Charges, Payment, Refund, Shipping, Mail} {
		if states[name] != "closed" || policies[name].Name() != name {
			t.Errorf("%s is %q", name, states[name])
		}
	}
	if got := DefaultPolicies()[Charges].Timeout; got != 3*time.Second {
		t.Errorf("a payment may take %s; want 3s", got)
	}
}

func TestPolicy_PermitAllocatesNothing(t *testing.T) {
	p, declined := NewPolicy(Redis, DefaultPolicies()[Redis]), error(&order.DeclinedError{Code: "lost_card"})
	if n := testing.AllocsPerRun(1000, func() {
		if p.Permit() == nil {
			p.Report(nil)
		}
	}); n != 0 {
		t.Errorf("a permit costs %v allocations", n)
	}
	if n := testing.AllocsPerRun(1000, func() { p.Report(declined) }); n > 2 {
		t.Errorf("reporting a business result costs %v allocations", n)
	}
}

func BenchmarkPolicy_Permit(b *testing.B) {
	p := NewPolicy(Redis, DefaultPolicies()[Redis])
	b.ReportAllocs()
	for b.Loop() {
		if p.Permit() == nil {
			p.Report(nil)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	p, ctx := NewPolicy(Payment, DefaultPolicies()[Payment]), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Call(ctx, p, func(context.Context) (int, error) { return 1, nil })
	}
}
