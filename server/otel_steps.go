package server

import (
	"context"
	"errors"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
)

// checkoutStep is a step of a checkout that calls a dependency.
type checkoutStep int

const (
	stepReserve checkoutStep = iota
	stepCharge
	stepSettle
	stepRelease
	checkoutStepCount
)

// stepNames are the values of the attribute step.
var stepNames = [checkoutStepCount]string{"reserve", "charge", "settle", "release"}

// stepResult is the outcome of a step.
type stepResult int

const (
	stepDone    stepResult = iota
	stepRefused            // sold out, a limit, a declined card, another state; or the caller left
	stepFailed             // by breaker.IsFailure: the dependency did not work, or the outcome is unknown
	stepResultCount
)

// stepResultNames are the values of the attribute result.
var stepResultNames = [stepResultCount]string{"done", "refused", "failed"}

// stepMetrics counts the steps of checkouts, and the calls and charges in progress.
type stepMetrics struct {
	steps             metric.Int64Counter
	options           [checkoutStepCount][stepResultCount]metric.MeasurementOption
	placing, charging atomic.Int64
}

func newStepMetrics(meter metric.Meter) (*stepMetrics, error) {
	m := &stepMetrics{}
	for step, name := range stepNames {
		for result, resultName := range stepResultNames {
			m.options[step][result] = metric.WithAttributeSet(attribute.NewSet(attribute.String("step", name), attribute.String("result", resultName)))
		}
	}
	var err1 error
	m.steps, err1 = meter.Int64Counter("spillway.checkout.steps", metric.WithUnit("{steps}"),
		metric.WithDescription("Steps of checkouts: reserve, charge, settle and release; done, refused (such as sold out or declined) or failed."))
	_, err2 := meter.Int64ObservableGauge("spillway.checkout.active", metric.WithUnit("{calls}"),
		metric.WithDescription("Calls of PlaceOrder (step place_order) and charges (step charge) in progress."), metric.WithInt64Callback(m.observe))
	return m, errors.Join(err1, err2)
}

var (
	activePlacing  = metric.WithAttributeSet(attribute.NewSet(attribute.String("step", "place_order")))
	activeCharging = metric.WithAttributeSet(attribute.NewSet(attribute.String("step", "charge")))
)

func (m *stepMetrics) observe(_ context.Context, o metric.Int64Observer) error {
	o.Observe(m.placing.Load(), activePlacing)
	o.Observe(m.charging.Load(), activeCharging)
	return nil
}

// count counts one step by its error.
func (m *stepMetrics) count(ctx context.Context, step checkoutStep, err error) {
	result := stepDone
	switch {
	case breaker.IsFailure(err):
		result = stepFailed
	case err != nil:
		result = stepRefused
	}
	m.steps.Add(ctx, 1, m.options[step][result])
}

// Settle counts a settlement.
func (r measuredReserver) Settle(ctx context.Context, id order.ID, chargeID, trace string) (journal.Offset, error) {
	at, err := r.Reserver.Settle(ctx, id, chargeID, trace)
	r.metrics.steps.count(ctx, stepSettle, err)
	return at, err
}

// Release counts a release.
func (r measuredReserver) Release(ctx context.Context, id order.ID, reason, trace string) (journal.Offset, error) {
	at, err := r.Reserver.Release(ctx, id, reason, trace)
	r.metrics.steps.count(ctx, stepRelease, err)
	return at, err
}

// Payments returns p with its charges counted.
func (m *CheckoutMetrics) Payments(p PaymentClient) PaymentClient {
	return measuredPayments{PaymentClient: p, steps: m.steps}
}

type measuredPayments struct {
	PaymentClient
	steps *stepMetrics
}

// Charge counts a charge.
func (p measuredPayments) Charge(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (order.Charge, error) {
	p.steps.charging.Add(1)
	defer p.steps.charging.Add(-1)
	c, err := p.PaymentClient.Charge(ctx, id, amount, card)
	p.count(ctx, c, err)
	return c, err
}

// ChargeAgain counts a charge.
func (p measuredPayments) ChargeAgain(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (order.Charge, error) {
	p.steps.charging.Add(1)
	defer p.steps.charging.Add(-1)
	c, err := p.PaymentClient.ChargeAgain(ctx, id, amount, card)
	p.count(ctx, c, err)
	return c, err
}

// count counts a declined card as refused, although its call has no error.
func (p measuredPayments) count(ctx context.Context, c order.Charge, err error) {
	if err == nil && c.State != order.ChargeSucceeded {
		p.steps.steps.Add(ctx, 1, p.steps.options[stepCharge][stepRefused])
		return
	}
	p.steps.count(ctx, stepCharge, err)
}
