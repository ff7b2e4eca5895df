package audit

import (
	"context"
	"log/slog"
	"time"

	"github.com/spillway/spillway/store"
)

// loggedMax bounds the findings that one audit logs; the command and the RPC tell all of them.
const loggedMax = 10

// Every audits a running shop again and again, a period apart, until ctx ends. What is wrong is logged, and measured as
// spillway.audit.broken. Several processes may do it, each for itself.
func Every(ctx context.Context, source *store.Audits, period time.Duration, o Options, log *slog.Logger) {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r, err := Run(ctx, source, o)
		if ctx.Err() != nil {
			return
		}
		r.log(ctx, log, err)
	}
}

func (r Report) log(ctx context.Context, log *slog.Logger, err error) {
	switch {
	case err != nil:
		log.WarnContext(ctx, "the audit could not be done; trying again", "error", err)
	case r.OK:
		log.DebugContext(ctx, "the books close", "in_flight", r.OrdersInFlight)
	default:
		log.ErrorContext(ctx, "the books do not close; `spillway audit` says more", "broken_rules", r.BrokenRules())
		for _, f := range r.Findings[:min(loggedMax, len(r.Findings))] {
			log.ErrorContext(ctx, "a rule is broken", "rule", f.Rule, "sku", f.SKU, "order", f.OrderID, "detail", f.Detail)
		}
	}
}
