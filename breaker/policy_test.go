package breaker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/order"
)

// quick is a policy for tests: four failures of eight calls open it.
var quick = Config{Timeout: 30 * time.Millisecond, Failures: 4, Window: 8, Delay: time.Hour}

// patience bounds what tests wait for.
const patience = 30 * time.Second

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited %s for %s", patience, what)
		case <-tick.C:
		}
	}
}

// frozen is a server that accepts connections and never answers.
func frozen(t *testing.T) (addr string) {
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

// ask sends a byte to the server and waits for one.
func ask(ctx context.Context, addr string) (byte, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if _, err := c.Write([]byte{1}); err != nil {
		return 0, err
	}
	var answer [1]byte
	if _, err = c.Read(answer[:]); err != nil && ctx.Err() != nil {
		return 0, ctx.Err() // As most clients do: cancelled, which alone would be no failure.
	}
	return answer[0], err
}

func TestAFrozenPartTripsItsBreaker(t *testing.T) {
	p, addr := NewPolicy(Payment, quick), frozen(t)
	var calls atomic.Int64
	call := func() error {
		_, err := Call(t.Context(), p, func(ctx context.Context) (byte, error) {
			calls.Add(1)
			return ask(ctx, addr)
		})
		return err
	}
	for range quick.Failures {
		err := call()
		if !errors.Is(err, order.ErrUnavailable) {
			t.Fatalf("a frozen part: %v; want ErrUnavailable", err)
		}
		if !errors.Is(err, order.ErrUnknownOutcome) || errors.Is(err, ErrNotSent) {
			t.Fatalf("a frozen part: %v; want an unknown outcome", err)
		}
	}
	if p.State() != "open" || calls.Load() != int64(quick.Failures) {
		t.Fatalf("after %d calls of a frozen part its breaker is %s", calls.Load(), p.State())
	}
	err := call()
	var retry *order.RetryError
	if !errors.As(err, &retry) || retry.After < time.Minute || retry.After > quick.Delay || errors.Is(err, order.ErrUnknownOutcome) {
		t.Errorf("an open breaker answers %v; want when to try again", err)
	}
	if calls.Load() != int64(quick.Failures) {
		t.Error("the part was called although its breaker is open")
	}
	if err := p.Permit(); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("a permit of an open breaker: %v", err)
	}
}

func TestAnswersNeverTripABreaker(t *testing.T) {
	for _, answer := range []error{
		nil, order.ErrInvalid, order.ErrNotFound, order.ErrAlreadyExists, order.ErrKeyReused, order.ErrFailedPrecondition, order.ErrOverloaded, context.Canceled,
		&order.SoldOutError{}, &order.DeclinedError{Code: "lost_card"}, &order.RatesTooOldError{}, &order.RetryError{Err: order.ErrOverloaded},
	} {
		wrapped := answer
		if answer != nil {
			wrapped = fmt.Errorf("somewhere: %w", answer)
		}
		if IsFailure(wrapped) {
			t.Errorf("%v counts as a failure", answer)
		}
		p := NewPolicy(Payment, quick)
		for range 3 * quick.Window {
			_, err := Call(t.Context(), p, func(context.Context) (int, error) { return 1, wrapped })
			if !errors.Is(err, answer) {
				t.Fatalf("%v became %v", answer, err)
			}
			p.Report(wrapped)
		}
		if p.State() != "closed" {
			t.Errorf("%v tripped the breaker", answer)
		}
	}
	for _, failure := range []error{order.ErrUnavailable, order.ErrUnknownOutcome, context.DeadlineExceeded, errors.New("broken pipe")} {
		if !IsFailure(fmt.Errorf("somewhere: %w", failure)) {
			t.Errorf("%v does not count as a failure", failure)
		}
	}
}

func TestImpatientCallersDoNotTripABreaker(t *testing.T) {
	cfg := quick
	cfg.Timeout = time.Hour
	p := NewPolicy(Shipping, cfg)
	for range 3 * quick.Window {
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
		t.Error("callers with tiny deadlines tripped the breaker")
	}
}

func TestPatientCallersTripTheBreakerOfASilentPart(t *testing.T) {
	cfg := quick
	cfg.Timeout = 100 * time.Millisecond
	p := NewPolicy(Shipping, cfg)
	for range quick.Window {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond) // more than half of what the part may take
		if _, err := Call(ctx, p, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }); err == nil {
			t.Fatal("a silent part answered")
		}
		cancel()
	}
	if p.State() != "open" {
		t.Errorf("a part that was silent for most of its time has a breaker that is %s", p.State())
	}
}

// tripped is a policy whose breaker is half open, or will be with the next permit.
func tripped(t *testing.T, p *Policy) {
	t.Helper()
	for range quick.Window {
		p.Report(order.ErrUnavailable)
	}
	if p.State() != "open" {
		t.Fatalf("the breaker is %s", p.State())
	}
}

func TestOneTrialAtATimeClosesTheBreaker(t *testing.T) {
	cfg := quick
	cfg.Delay = time.Millisecond
	p := NewPolicy(Redis, cfg)
	tripped(t, p)
	eventually(t, "a trial", func() bool { return p.Permit() == nil })
	err := p.Permit()
	var retry *order.RetryError
	if !errors.As(err, &retry) || retry.After <= 0 {
		t.Fatalf("beside the trial: %v; want to be told when to come back", err)
	}
	p.Report(order.ErrUnavailable)
	if p.State() != "open" {
		t.Errorf("after a failed trial the breaker is %s", p.State())
	}
	eventually(t, "another trial", func() bool { return p.Permit() == nil })
	p.Report(nil)
	if p.State() != "closed" || p.Permit() != nil {
		t.Errorf("after a good trial the breaker is %s", p.State())
	}
}

// TestPolicy_CallersThatLeaveDecideNothing: they neither hide the failures of others nor settle a trial.
func TestPolicy_CallersThatLeaveDecideNothing(t *testing.T) {
	cfg := quick
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
		t.Errorf("after a good trial the breaker is %s", p.State())
	}
}

func TestAPanicGivesItsTrialBack(t *testing.T) {
	cfg := quick
	cfg.Delay = time.Millisecond
	p := NewPolicy(Mail, cfg)
	tripped(t, p)
	// trial answers whether the breaker let it through.
	trial := func(call func(context.Context) (int, error)) (through bool) {
		defer func() { _ = recover() }()
		_, _ = Call(t.Context(), p, func(ctx context.Context) (int, error) { through = true; return call(ctx) })
		return through
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

func TestDoReturnsWhatTheCallDoes(t *testing.T) {
	p := NewPolicy(Mail, quick)
	if n, err := Call(t.Context(), p, func(context.Context) (int, error) { return 7, nil }); n != 7 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if none, err := Call(t.Context(), p, func(context.Context) (error, error) { return nil, nil }); none != nil || err != nil {
		t.Errorf("got %v, %v", none, err)
	}
	if n, err := Call(t.Context(), p, func(context.Context) (int, error) { return 7, order.ErrFailedPrecondition }); n != 0 || !errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("beside an error came %d, %v", n, err)
	}
}

func TestEveryPartHasAPolicy(t *testing.T) {
	policies := NewPolicies(DefaultPolicies())
	states := policies.States()
	for _, part := range []string{Redis, SQL, Queue, Charges, Payment, Refund, Shipping, Mail} {
		if states[part] != "closed" || policies[part].Name() != part {
			t.Errorf("%s is %q", part, states[part])
		}
	}
	if got := DefaultPolicies()[Charges].Timeout; got != 3*time.Second {
		t.Errorf("a payment may take %s; want 3s", got)
	}
}

func TestAPermitAllocatesNothing(t *testing.T) {
	p, declined := NewPolicy(Redis, DefaultPolicies()[Redis]), error(&order.DeclinedError{Code: "lost_card"})
	if n := testing.AllocsPerRun(1000, func() {
		if p.Permit() == nil {
			p.Report(nil)
		}
	}); n != 0 {
		t.Errorf("a permit costs %v allocations", n)
	}
	if n := testing.AllocsPerRun(1000, func() { p.Report(declined) }); n > 2 {
		t.Errorf("reporting an answer costs %v allocations", n)
	}
}

func BenchmarkPermit(b *testing.B) {
	p := NewPolicy(Redis, DefaultPolicies()[Redis])
	b.ReportAllocs()
	for b.Loop() {
		if p.Permit() == nil {
			p.Report(nil)
		}
	}
}

func BenchmarkDo(b *testing.B) {
	p, ctx := NewPolicy(Payment, DefaultPolicies()[Payment]), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Call(ctx, p, func(context.Context) (int, error) { return 1, nil })
	}
}
