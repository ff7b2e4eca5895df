// Package telemetry provides OpenTelemetry's traces, metrics and logs to the other packages, which use its API alone, so that a program
// that embeds them can set its own providers. OpenTelemetry's own environment variables configure the export over OTLP gRPC; without any,
// nothing is exported.
package telemetry

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
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

// Start sets the global providers and the propagator of trace contexts. It returns a VariableError if a variable has a value that cannot be used; an
// unreachable collector is only logged.
func Start(ctx context.Context, c Config) (*Telemetry, error) {
	t := &Telemetry{log: c.Log, metrics: http.NotFoundHandler()}
	// Always: an incoming trace id reaches dead letters and log lines also where no span is recorded.
	otel.SetTextMapPropagator(propagation.TraceContext{})
	on, err := signalsOf(c.Scraped, c.Read)
	if err != nil {
		return nil, &VariableError{err}
	}
	if on == (signals{}) {
		return t, nil
	}
	otel.SetLogger(logr.FromSlogHandler(c.Log.Handler())) // Otherwise it has a form of its own.
	about, err := describe(ctx, c.Role)
	if err != nil {
		return nil, &VariableError{err}
	}
	to, err := newExporters(ctx, on)
	otel.SetErrorHandler(newErrorLog(c.Log))
	if err != nil {
		return nil, &VariableError{err}
	}
	if err := t.startMetrics(to, on, about); err != nil {
		to.close(ctx)
		return nil, err
	}
	t.startTraces(to, about)
	t.startLogs(to, about)
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
	for _, err := range t.stop(ctx) {
		t.log.WarnContext(ctx, "the last telemetry was not exported", "error", err)
	}
}

// stop stops all providers at once, and returns their errors.
func (t *Telemetry) stop(ctx context.Context) (errs []error) {
	var stopping sync.WaitGroup
	var mu sync.Mutex
	for _, stop := range t.stops {
		stopping.Go(func() {
			if err := stop(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	stopping.Wait()
	if len(t.stops) > 0 {
		otel.SetTracerProvider(tracenoop.NewTracerProvider())
		otel.SetMeterProvider(metricnoop.NewMeterProvider())
	}
	t.stops = nil
	return errs
}

// stopper is a provider or an exporter.
type stopper interface {
	Shutdown(ctx context.Context) error
}

// stopBoth stops a signal's provider, which stops its exporter unless ctx ends first: then the exporter would retry for up to a minute.
func stopBoth(signal string, provider, exporter stopper) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := provider.Shutdown(ctx); err != nil {
			_ = exporter.Shutdown(ctx) // It is closed in any case.
			return fmt.Errorf("%s: %w", signal, err)
		}
		return nil
	}
}
