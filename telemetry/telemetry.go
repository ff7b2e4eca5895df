// Package telemetry exports what the other packages measure, where OpenTelemetry's own environment variables say. The packages use the
// API alone, so that whoever embeds them brings providers of their own instead.
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

// metricsExporter is OpenTelemetry's variable: otlp, prometheus or console. Without it nothing is exported, and nothing is measured.
const metricsExporter = "OTEL_METRICS_EXPORTER"

// flushTimeout bounds the last export. A collector that is away must not hold up the end.
const flushTimeout = 5 * time.Second

// Metrics exports the process's metrics until stop is called, which exports once more. An error means that the variables ask for
// something that does not exist, or that a port is taken; a collector that is away is logged, and costs nothing else.
func Metrics(ctx context.Context, log *slog.Logger) (stop func(), err error) {
	if os.Getenv(metricsExporter) == "" {
		return func() {}, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.WarnContext(ctx, "metrics are not exported", "error", err) }))
	reader, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w; take otlp, prometheus, console or none", metricsExporter, os.Getenv(metricsExporter), err)
	}
	// The variables come last, so that OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
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

// PushedMetrics is Metrics for a command that ends by itself: there is nothing to scrape by the time Prometheus asks, and its port is the
// running shop's.
func PushedMetrics(ctx context.Context, log *slog.Logger) (stop func(), err error) {
	if os.Getenv(metricsExporter) == "prometheus" {
		return func() {}, nil
	}
	return Metrics(ctx, log)
}
