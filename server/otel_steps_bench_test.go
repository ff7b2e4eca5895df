package server

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
)

// stubCharges charges at once.
type stubCharges struct{ PaymentClient }

func (stubCharges) Charge(context.Context, order.ID, order.Money, payment.Card) (order.Charge, error) {
	return order.Charge{State: order.ChargeSucceeded}, nil
}

// BenchmarkCheckoutMetrics_Charge is what counting adds to a charge; reserve and settle cost the same.
func BenchmarkCheckoutMetrics_Charge(b *testing.B) {
	before := otel.GetMeterProvider()
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(metric.NewManualReader())))
	b.Cleanup(func() { otel.SetMeterProvider(before) })
	m, err := NewCheckoutMetrics()
	if err != nil {
		b.Fatal(err)
	}
	p, ctx := m.Payments(stubCharges{}), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Charge(ctx, "", order.Money{}, payment.Card{}); err != nil {
			b.Fatal(err)
		}
	}
}
