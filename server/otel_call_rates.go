package server

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/spillway/spillway/order"
)

// Observe registers the metric of refused calls with the global meter provider. The returned function ends that.
func (r *CallRates) Observe() (stop func() error, err error) {
	meter := otel.Meter(scope)
	refused, err := meter.Int64ObservableCounter("spillway.call_rate.refused", metric.WithUnit("{calls}"),
		metric.WithDescription("Calls that this process refused because their customer or address made too many within a minute."))
	if err != nil {
		return nil, err
	}
	registered, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for limit, n := range r.Refused() {
			o.ObserveInt64(refused, n, metric.WithAttributes(attribute.String("limit", string(limit))))
		}
		return nil
	}, refused)
	if err != nil {
		return nil, err
	}
	return registered.Unregister, nil
}

// Refused returns how many calls each limit refused.
func (r *CallRates) Refused() map[order.Limit]int64 {
	return map[order.Limit]int64{
		order.LimitCustomerReads: r.customerReads.refused.Load(), order.LimitCustomerWrites: r.customerWrites.refused.Load(),
		order.LimitAddressReads: r.addressReads.refused.Load(), order.LimitAddressWrites: r.addressWrites.refused.Load(),
	}
}
