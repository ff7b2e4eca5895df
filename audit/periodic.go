package audit

import (
	"context"
	"log/slog"
	"time"

	"github.com/spillway/spillway/pause"
	"github.com/spillway/spillway/store"
)

// maxLogged is the maximum number of violations that one audit logs; the command and the RPC return all of them.
const maxLogged = 10

// RunPeriodically audits a running shop once per interval until ctx ends. It logs violations and records the metric
// spillway.audit.violations. Several processes may run it independently.
func RunPeriodically(ctx context.Context, source *store.Audits, interval time.Duration, o Options, log *slog.Logger) {
	pause.Every(ctx, interval, func(ctx context.Context) {
		r, err := Run(ctx, source, o)
		if ctx.Err() == nil {
			r.log(ctx, log, err)
		}
	})
}

func (r Report) log(ctx context.Context, log *slog.Logger, err error) {
	switch {
	case err != nil:
		log.WarnContext(ctx, "audit failed, retrying", "error", err)
	case r.OK:
		log.DebugContext(ctx, "audit found no violation", "in_flight", r.OrdersInFlight)
	default:
		log.ErrorContext(ctx, "audit found violations; run `spillway audit` for the details", "violated_rules", r.ViolatedRules())
		for _, f := range r.Violations[:min(maxLogged, len(r.Violations))] {
			log.ErrorContext(ctx, "audit rule violated", "rule", f.Rule, "sku", f.SKU, "order_id", f.OrderID, "detail", f.Detail)
		}
	}
}
