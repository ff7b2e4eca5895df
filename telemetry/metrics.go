package telemetry

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

// maxScrapes bounds the scrapes that are served at once: an observable gauge may read Redis or SQL.
const maxScrapes = 4

func (t *Telemetry) startMetrics(to exporters, on signals, about *resource.Resource) error {
	opts := []metric.Option{metric.WithResource(about)}
	switch {
	case on.scraped:
		var err error
		if t.reader, err = t.scraped(); err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
	case on.read:
		t.reader = metric.NewManualReader()
	}
	if to.metrics != nil {
		opts = append(opts, metric.WithReader(metric.NewPeriodicReader(to.metrics)))
	}
	if t.reader != nil {
		opts = append(opts, metric.WithReader(t.reader))
	}
	if !on.metrics && t.reader == nil {
		return nil
	}
	if !on.metrics && !on.scraped {
		opts = append(opts, metric.WithView(onlyReadView()))
	}
	provider := metric.NewMeterProvider(opts...)
	otel.SetMeterProvider(provider)
	t.stops = append(t.stops, func(ctx context.Context) error {
		if err := provider.Shutdown(ctx); err != nil {
			return fmt.Errorf("metrics: %w", err)
		}
		return nil
	})
	return nil
}

// scraped makes the reader behind MetricsHandler and Series, beside which the Go runtime and the process are measured.
func (t *Telemetry) scraped() (metric.Reader, error) {
	registry := prometheus.NewRegistry()
	err := errors.Join(registry.Register(collectors.NewGoCollector()), registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})))
	if err != nil {
		return nil, err
	}
	t.metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: maxScrapes})
	return promexporter.New(promexporter.WithRegisterer(registry), promexporter.WithoutScopeInfo())
}
