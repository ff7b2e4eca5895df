// Package telemetry provides OpenTelemetry's traces, metrics and logs to the other packages, which use its API alone, so that a program
// that embeds them can set its own providers. OpenTelemetry's own environment variables configure the export over OTLP gRPC; without any,
// nothing is exported.
package telemetry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// flushTimeout bounds the last export of all signals together, so that an unreachable collector does not delay the shutdown.
const flushTimeout = 5 * time.Second

// Config describes the process.
type Config struct {
	// Role becomes the resource attribute spillway.role: all, serve, work or audit.
	Role string
	// Scraped keeps metrics for MetricsHandler, whether they are exported over OTLP or not.
	Scraped bool
	// Read keeps metrics for Series.
	Read bool
	// Log receives the lines of Telemetry.Log, and what goes wrong in an export.
	Log *slog.Logger
}

// Telemetry is the process's providers. Start makes it, Stop ends it.
type Telemetry struct {
	log      *slog.Logger
	exported slog.Handler // nil unless logs are exported
	metrics  http.Handler
	reader   metric.Reader // nil unless metrics are scraped or read
	stops    []func(context.Context) error
}

// Start sets the global providers and the propagator of trace contexts. It fails if a variable has an unknown value; an unreachable
// collector is only logged.
func Start(ctx context.Context, c Config) (*Telemetry, error) {
	t := &Telemetry{log: c.Log, metrics: http.NotFoundHandler()}
	// Always: an incoming trace id reaches dead letters and log lines also where no span is recorded.
	otel.SetTextMapPropagator(propagation.TraceContext{})
	on, err := signalsOf(c.Scraped, c.Read)
	if err != nil {
		return nil, err
	}
	if on == (signals{}) {
		return t, nil
	}
	otel.SetErrorHandler(newErrorLog(c.Log))
	about, err := describe(ctx, c.Role)
	if err != nil {
		return nil, err
	}
	errs := []error{t.startTraces(ctx, on, about), t.startMetrics(ctx, on, about), t.startLogs(ctx, on, about)}
	if err := errors.Join(errs...); err != nil {
		t.Stop(ctx)
		return nil, err
	}
	return t, nil
}

// describe makes the resource. The variables come last, so that OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence.
func describe(ctx context.Context, role string) (*resource.Resource, error) {
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithAttributes(
		semconv.ServiceName("spillway"), semconv.ServiceInstanceID(rand.Text()), roleKey.String(role)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return about, nil
}

// MetricsHandler serves the metrics to Prometheus, in OpenMetrics with exemplars for those who accept it.
func (t *Telemetry) MetricsHandler() http.Handler { return t.metrics }

// Stop exports what is left, within flushTimeout, and sets global providers that do nothing.
func (t *Telemetry) Stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	var stopping sync.WaitGroup
	for _, stop := range t.stops {
		stopping.Go(func() {
			if err := stop(ctx); err != nil {
				t.log.WarnContext(ctx, "the last telemetry was not exported", "error", err)
			}
		})
	}
	stopping.Wait()
	if len(t.stops) > 0 {
		otel.SetTracerProvider(tracenoop.NewTracerProvider())
		otel.SetMeterProvider(metricnoop.NewMeterProvider())
	}
	t.stops = nil
}

// stopper is a provider or an exporter.
type stopper interface {
	Shutdown(ctx context.Context) error
}

// stopBoth stops the provider, which stops its exporter unless ctx ends first: then the exporter would retry for up to a minute.
func stopBoth(provider, exporter stopper) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := provider.Shutdown(ctx); err != nil {
			return errors.Join(err, exporter.Shutdown(ctx))
		}
		return nil
	}
}
