package audit

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/spillway/spillway/audit"

// measure records the number of violations of each rule, with the global meter provider. Rules that hold record 0, so
// that an alert can end.
func measure(ctx context.Context, r Report) error {
	violations, err := otel.Meter(scope).Int64Gauge("spillway.audit.violations", metric.WithUnit("{violations}"),
		metric.WithDescription("Orders, SKUs or rows that violated the rule in the last audit."))
	if err != nil {
		return fmt.Errorf("spillway.audit.violations: %w", err)
	}
	for _, res := range r.Rules {
		violations.Record(ctx, res.Violations, metric.WithAttributes(attribute.String("rule", res.Rule)))
	}
	return nil
}
