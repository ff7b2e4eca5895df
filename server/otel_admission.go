package server

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Observe registers the metrics of the limits with the global meter provider. The returned function ends that.
func (a *Admission) Observe() (stop func() error, err error) {
	meter := otel.Meter(scope)
	limit, err1 := meter.Int64ObservableGauge("spillway.admission.limit", metric.WithUnit("{calls}"),
		metric.WithDescription("Calls of a class that this process serves at once. It adapts to how long they take."))
	inFlight, err2 := meter.Int64ObservableGauge("spillway.admission.in_flight", metric.WithUnit("{calls}"),
		metric.WithDescription("Calls of a class in progress in this process, without those that wait for the payment provider."))
	shed, err3 := meter.Int64ObservableCounter("spillway.admission.shed", metric.WithUnit("{calls}"),
		metric.WithDescription("Calls of a class that this process refused because its limit was reached."))
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	registered, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for class, l := range a.limiters {
			of := metric.WithAttributes(attribute.String("class", string(class)))
			o.ObserveInt64(limit, int64(l.Limit()), of)
			o.ObserveInt64(inFlight, int64(l.InFlight()), of)
			o.ObserveInt64(shed, l.Shed(), of)
		}
		return nil
	}, limit, inFlight, shed)
	if err != nil {
		return nil, err
	}
	return registered.Unregister, nil
}
