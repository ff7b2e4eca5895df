package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/store"
)

// DefaultGrace is how long a change may be ahead of what follows it, while orders are being taken. The drain takes seconds, and an
// order that was lost with its Redis is declared so after ten minutes: what is older than this, nobody is at work on.
const DefaultGrace = 15 * time.Minute

// DefaultMaxPaidAge is how long an order may be PAID and not shipped, 1 h by default: it is handed to the carrier within seconds, or is
// SHIP_FAILED when that does not take it; a backlog of a flood drains within minutes.
const DefaultMaxPaidAge = time.Hour

// mailLookBack is the age up to which orders need a record of their mails: the repair worker finds missing confirmations that far back.
// Versions that kept no such record are longer ago.
const mailLookBack = 24 * time.Hour

// Options say how strict an audit is.
type Options struct {
	// Drained demands that nothing is on its way any more: then all books must close exactly.
	Drained bool
	// Grace is how long something may be on its way otherwise; 0 is DefaultGrace.
	Grace time.Duration
	// MaxPaidAge is how long an order may be PAID and not shipped; 0 is DefaultMaxPaidAge.
	MaxPaidAge time.Duration
	// Counters is Redis, whose counters are compared with SQL once drained; nil leaves that out.
	Counters Counters
	// Provider is compared with the ledger; nil leaves that out.
	Provider Provider
}

// Run checks all rules on one moment of SQL, and those about Redis and the provider where the options have them. An error means that it could not be done, not that a rule is broken.
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
		b, err := readBooks(ctx, v, h)
		if err != nil {
			return err
		}
		b.counters, b.statement = o.Counters, theirs
		r.OrdersInFlight = b.onTheirWay
		return r.check(ctx, b, o)
	})
	if err != nil {
		return Report{}, fmt.Errorf("audit: %w", err)
	}
	return r, measure(ctx, r)
}

func (r *Report) check(ctx context.Context, b *books, o Options) error {
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
		r.Rules = append(r.Rules, Result{Rule: rule.name, Description: rule.description, Checked: checked, Broken: t.broken})
		tallies = append(tallies, t)
	}
	r.OK = r.BrokenRules() == 0
	r.Findings = share(tallies, FindingsMax)
	return nil
}
