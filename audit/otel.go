package audit

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/spillway/spillway/audit"

// measure records how many findings each rule had, with whatever meter provider the process has. Rules that hold say 0, so that
// an alert can end.
func measure(ctx context.Context, r Report) error {
	broken, err := otel.Meter(scope).Int64Gauge("spillway.audit.broken", metric.WithUnit("{findings}"),
		metric.WithDescription("Orders, SKUs or rows that broke the rule at the last audit."))
	if err != nil {
		return fmt.Errorf("spillway.audit.broken: %w", err)
	}
	for _, res := range r.Rules {
		broken.Record(ctx, res.Broken, metric.WithAttributes(attribute.String("rule", res.Rule)))
	}
	return nil
}
