package telemetry

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
)

// exporters export the signals over OTLP gRPC; one that is not exported has none.
type exporters struct {
	traces  *otlptrace.Exporter
	metrics *otlpmetricgrpc.Exporter
	logs    *otlploggrpc.Exporter
}

// newExporters makes the exporters. None of them connects yet.
func newExporters(ctx context.Context, on signals) (e exporters, err error) {
	var errs [3]error
	err = reported(func() error {
		if on.traces {
			e.traces, errs[0] = otlptracegrpc.New(ctx)
		}
		if on.metrics {
			e.metrics, errs[1] = otlpmetricgrpc.New(ctx)
		}
		if on.logs {
			e.logs, errs[2] = otlploggrpc.New(ctx)
		}
		return errors.Join(errs[:]...)
	})
	if err != nil {
		e.close(ctx)
		return exporters{}, fmt.Errorf("telemetry: %w", err)
	}
	return e, nil
}

// close closes exporters that were not used.
func (e exporters) close(ctx context.Context) {
	if e.traces != nil {
		_ = e.traces.Shutdown(ctx)
	}
	if e.metrics != nil {
		_ = e.metrics.Shutdown(ctx)
	}
	if e.logs != nil {
		_ = e.logs.Shutdown(ctx)
	}
}
