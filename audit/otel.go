package audit

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/spillway/spillway/audit"

// measure records the number of violations of each rule and the time of the audit, with the global meter provider. Rules that hold record 0, so
// that an alert can end.
func measure(ctx context.Context, r Report) error {
	meter := otel.Meter(scope)
	violations, err1 := meter.Int64Gauge("spillway.audit.violations", metric.WithUnit("{violations}"),
		metric.WithDescription("Orders, SKUs or rows that violated the rule in the last audit."))
	readTime, err2 := meter.Float64Gauge("spillway.audit.read_time", metric.WithUnit("s"),
		metric.WithDescription("When the last audit read SQL, as Unix time."))
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("metrics of the audit: %w", err)
	}
	for _, res := range r.Rules {
		violations.Record(ctx, res.Violations, metric.WithAttributes(attribute.String("rule", res.Rule)))
	}
	readTime.Record(ctx, float64(r.ReadTime.UnixMilli())/1e3)
	return nil
}
