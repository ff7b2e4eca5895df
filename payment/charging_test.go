package payment

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

// fakePaymentService fails each charge with chargeErr and returns the error of status to status requests.
type fakePaymentService struct {
	spillwayv1connect.UnimplementedPaymentServiceHandler
	chargeErr error
	status    func(ctx context.Context) error
	probes    atomic.Int64
}

func (f *fakePaymentService) Charge(context.Context, *spillwayv1.ChargeRequest) (*spillwayv1.ChargeResponse, error) {
	return &spillwayv1.ChargeResponse{}, f.chargeErr
}

func (f *fakePaymentService) GetCharge(ctx context.Context, _ *spillwayv1.GetChargeRequest) (*spillwayv1.GetChargeResponse, error) {
	f.probes.Add(1)
	return nil, f.status(ctx)
}

// statusIs returns a status function that returns err.
func statusIs(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

// newFailingCharges returns a client with charges of unknown outcome, under a breaker that opens after four failures of eight calls.
func newFailingCharges(t *testing.T, delay time.Duration, status func(context.Context) error) (*fakePaymentService, Client, *breaker.Policy) {
	t.Helper()
	cfg := testConfig
	cfg.Timeout, cfg.Delay = waitTimeout, delay
	f, p := &fakePaymentService{chargeErr: order.ErrUnavailable, status: status}, breaker.NewPolicy(breaker.Charges, cfg)
	return f, Client{Service: f, Charging: newCharging(t, p, f)}, p
}

// chargeOnce charges a new order and returns the error.
func chargeOnce(t *testing.T, p Client) error {
	t.Helper()
	_, err := p.Charge(t.Context(), newID(), twelve, goodCard("4242424242424242"))
	return err
}

func TestCharging_SuccessfulStatusRequest(t *testing.T) {
	for name, status := range map[string]error{"found": nil, "not found": order.ErrNotFound} {
		f, c, p := newFailingCharges(t, time.Hour, statusIs(status))
		for range 5 * testConfig.Window {
			if err := chargeOnce(t, c); !errors.Is(err, order.ErrUnknownOutcome) {
				t.Fatalf("%s: %v; want an unknown outcome", name, err)
			}
		}
		eventually(t, "a status request", func() bool { return f.probes.Load() > 0 })
		if err := c.Charging.Close(); err != nil { // It waits for the status request in flight.
			t.Fatal(err)
		}
		if n := f.probes.Load(); p.State() != "closed" || n > 5 {
			t.Errorf("%s: the breaker is %s after %d status requests", name, p.State(), n)
		}
	}
}

func TestCharging_FailedStatusRequest(t *testing.T) {
	release := make(chan struct{})
	f, c, p := newFailingCharges(t, time.Hour, func(context.Context) error { <-release; return order.ErrUnavailable })
	for range testConfig.Failures { // No caller waits for the status request.
		if err := chargeOnce(t, c); !errors.Is(err, order.ErrUnknownOutcome) {
			t.Fatalf("%v; want an unknown outcome", err)
		}
	}
	eventually(t, "a status request", func() bool { return f.probes.Load() > 0 })
	if p.State() != "closed" {
		t.Errorf("before the status request ended the breaker is %s", p.State())
	}
	close(release)
	eventually(t, "the breaker to open", func() bool { return p.State() == "open" })
	if n := f.probes.Load(); n != 1 {
		t.Errorf("%d status requests; want 1 for all charges", n)
	}
}

// TestCharging_Trials checks that each permit of a half-open breaker is reported, whatever the outcome of its charge.
func TestCharging_Trials(t *testing.T) {
	var works atomic.Bool
	f, c, p := newFailingCharges(t, time.Millisecond, func(context.Context) error {
		if works.Load() {
			return nil
		}
		return order.ErrUnavailable
	})
	eventually(t, "the breaker to open", func() bool { _ = chargeOnce(t, c); return p.State() == "open" })
	sent := func(err error) bool { return errors.Is(err, order.ErrUnknownOutcome) }
	eventually(t, "a trial", func() bool { return sent(chargeOnce(t, c)) })
	eventually(t, "a trial after one that failed", func() bool { return sent(chargeOnce(t, c)) })
	works.Store(true)
	// The status request succeeds: the charges of other cards need not wait for a card with an outcome.
	eventually(t, "the breaker to close", func() bool { _ = chargeOnce(t, c); return p.State() == "closed" })
	f.chargeErr = nil
	if err := chargeOnce(t, c); err != nil {
		t.Errorf("after the breaker closed: %v", err)
	}
}

func TestCharging_CloseReportsWaitingCharges(t *testing.T) {
	f, c, p := newFailingCharges(t, time.Hour, hangingStatus)
	for range testConfig.Failures {
		_ = chargeOnce(t, c)
	}
	eventually(t, "a status request", func() bool { return f.probes.Load() > 0 })
	if err := c.Charging.Close(); err != nil {
		t.Fatal(err)
	}
	for range testConfig.Failures {
		_ = chargeOnce(t, c)
	}
	if n := f.probes.Load(); n != 1 || p.State() != "closed" {
		t.Errorf("after it was closed: %d status requests, the breaker is %s", n, p.State())
	}
}

// hangingStatus blocks until the status request is cancelled.
func hangingStatus(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}
