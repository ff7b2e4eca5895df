package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/store"
)

// DefaultGrace is the default of Options.Grace. The drain takes seconds, and an order that was lost with its Redis is
// declared lost after ten minutes; no worker is still processing older changes.
const DefaultGrace = 15 * time.Minute

// DefaultMaxPaidAge is the default of Options.MaxPaidAge. An order is shipped, or SHIP_FAILED, within seconds of its
// payment; the backlog of a flood drains within minutes.
const DefaultMaxPaidAge = time.Hour

// mailLookBack is the age up to which orders need a record of their mails: the repair worker finds missing
// confirmations that far back. Versions that kept no such record are older.
const mailLookBack = 24 * time.Hour

// Options configure the strictness of an audit and its sources besides SQL.
type Options struct {
	// Drained means that nothing may be in flight: every sum must be exact.
	Drained bool
	// Grace is the time for which a change may be in flight otherwise; 0 means DefaultGrace.
	Grace time.Duration
	// MaxPaidAge is the maximum time for which an order may be PAID and not shipped; 0 means DefaultMaxPaidAge.
	MaxPaidAge time.Duration
	// Counters reads the counters in Redis, which are compared with SQL once drained; nil skips that.
	Counters Counters
	// Provider is compared with the ledger; nil skips that.
	Provider Provider
}

// Run checks all rules on one snapshot of SQL, and those about Redis and the provider if the options have them.
// Violations are in the report; an error means that the audit could not be completed. It runs one read-only
// transaction, takes no locks, and is safe for concurrent use.
func Run(ctx context.Context, source *store.Audits, o Options) (Report, error) {
	if o.Grace <= 0 {
		o.Grace = DefaultGrace
	}
	if o.MaxPaidAge <= 0 {
		o.MaxPaidAge = DefaultMaxPaidAge
	}
	now := time.Now().UTC()
	theirs, err := readStatement(ctx, o.Provider)
	if err != nil {
		return Report{}, fmt.Errorf("audit: %w", err)
	}
	h := store.Horizon{
		Drained: o.Drained, Since: now.Add(-o.Grace), PaidSince: now.Add(-o.MaxPaidAge), MailSince: now.Add(-mailLookBack),
	}
	r := Report{Drained: o.Drained, ReadTime: now}
	err = source.View(ctx, h, func(ctx context.Context, v *store.AuditView) error {
		b, err := readSnapshot(ctx, v, h)
		if err != nil {
			return err
		}
		b.counters, b.statement = o.Counters, theirs
		r.OrdersInFlight = b.inFlight
		return r.check(ctx, b, o)
	})
	if err != nil {
		return Report{}, fmt.Errorf("audit: %w", err)
	}
	return r, measure(ctx, r)
}

func (r *Report) check(ctx context.Context, b *snapshot, o Options) error {
	tallies := make([]*tally, 0, len(rules))
	for _, rule := range rules {
		if rule.needs != nil && !rule.needs(o) {
			continue
		}
		t := &tally{rule: rule.name}
		checked, err := rule.check(ctx, b, t.add)
		if err != nil {
			return fmt.Errorf("%s: %w", rule.name, err)
		}
		r.Rules = append(r.Rules, Result{Rule: rule.name, Description: rule.description, Checked: checked, Violations: t.violations})
		tallies = append(tallies, t)
	}
	r.OK = r.ViolatedRules() == 0
	r.Violations = share(tallies, MaxViolations)
	return nil
}
