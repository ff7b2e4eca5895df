// Package telemetry exports the metrics of the other packages to the destination of OpenTelemetry's own environment
// variables. The other packages use the API alone, so that a program that embeds them can set its own providers.
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// metricsExporter is OpenTelemetry's variable: otlp, prometheus or console. Without it nothing is exported or measured.
const metricsExporter = "OTEL_METRICS_EXPORTER"

// flushTimeout is the maximum duration of the last export, so that an unreachable collector does not delay the
// shutdown.
const flushTimeout = 5 * time.Second

// Metrics exports the process's metrics until stop is called, which exports once more. It fails if a variable has an
// unknown value or a port is taken; an unreachable collector is only logged.
func Metrics(ctx context.Context, log *slog.Logger) (stop func(), err error) {
	if os.Getenv(metricsExporter) == "" {
		return func() {}, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.WarnContext(ctx, "metrics are not exported", "error", err) }))
	reader, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w; take otlp, prometheus, console or none", metricsExporter, os.Getenv(metricsExporter), err)
	}
	// The variables come last, so that OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(semconv.ServiceName("spillway")), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithResource(about))
	otel.SetMeterProvider(provider)
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.WarnContext(ctx, "the last metrics were not exported", "error", err)
		}
	}, nil
}

// PushedMetrics is Metrics for a command that ends by itself: Prometheus could not scrape it in time, and its port
// belongs to the running shop.
func PushedMetrics(ctx context.Context, log *slog.Logger) (stop func(), err error) {
	if os.Getenv(metricsExporter) == "prometheus" {
		return func() {}, nil
	}
	return Metrics(ctx, log)
}
