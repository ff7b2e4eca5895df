package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment/simulated"
	"github.com/spillway/spillway/redisconn"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/telemetry"
)

// AuditRun configures one audit from outside the shop's processes.
type AuditRun struct {
	SQL          SQLConfig
	Redis        RedisConfig // compared with SQL when drained, if not embedded
	ProviderFile string      // file of the simulated payment provider, compared with the ledger; empty: not compared
	Drained      bool        // nothing may be in flight
	Wait         time.Duration
	Grace        time.Duration // age at which something in flight counts as lost
	MaxPaidAge   time.Duration // how long an order may be PAID
}

// auditInterval is the time between two audits of one run that waits.
const auditInterval = time.Second

// Validate reports every mistake in the settings.
func (c AuditRun) Validate() error {
	errs := []error{c.SQL.validate(), c.Redis.validate()}
	if c.ProviderFile != "" {
		// Opening a file that does not exist would make an empty one.
		if _, err := os.Stat(c.ProviderFile); err != nil {
			errs = append(errs, fmt.Errorf("--simulate-provider-file %s: %w", c.ProviderFile, err))
		}
	}
	if c.Wait < 0 || (c.Wait > 0 && !c.Drained) {
		errs = append(errs, errors.New("--wait: goes with --drained, and must not be negative"))
	}
	if c.Grace <= 0 {
		errs = append(errs, fmt.Errorf("--grace %s: must be more than nothing", c.Grace))
	}
	if c.MaxPaidAge <= 0 {
		errs = append(errs, fmt.Errorf("--max-paid-age %s: must be more than nothing", c.MaxPaidAge))
	}
	return errors.Join(errs...)
}

// RunAudit audits a shop: once, or with Wait until no rule is broken or the time is over.
func RunAudit(ctx context.Context, c AuditRun, log *slog.Logger) (r audit.Report, err error) {
	if err := c.Validate(); err != nil {
		return r, err
	}
	// The command ends by itself, before Prometheus could scrape it: its metrics are exported, or not at all.
	exporting, err := telemetry.Start(ctx, telemetry.Config{Role: "audit", Log: log})
	if err != nil {
		return r, err
	}
	defer exporting.Stop(ctx)
	err = withDB(ctx, c.SQL, func(db *store.DB) error {
		if err := store.NewMigrator(db).Check(ctx); err != nil {
			return err
		}
		o, closeSources, err := c.open()
		if err == nil {
			r, err = c.repeat(ctx, store.NewAudits(db), o)
		}
		return errors.Join(err, closeSources())
	})
	return r, err
}

// repeat audits until no rule is broken or the time is over; while SQL, Redis or the provider is unavailable, it goes on.
func (c AuditRun) repeat(ctx context.Context, source *store.Audits, o audit.Options) (audit.Report, error) {
	o.Drained, o.Grace, o.MaxPaidAge = c.Drained, c.Grace, c.MaxPaidAge
	deadline := time.Now().Add(c.Wait)
	for {
		r, err := audit.Run(ctx, source, o)
		final := err != nil && !errors.Is(err, order.ErrUnavailable)
		if r.OK || final || time.Now().Add(auditInterval).After(deadline) {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-time.After(auditInterval):
		}
	}
}

// open opens what the audit reads beside SQL. The caller calls closeAll, also after an error.
func (c AuditRun) open() (o audit.Options, closeAll func() error, err error) {
	var closers []func() error
	closeAll = func() error {
		var errs []error
		for _, f := range closers {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	if c.Drained && !c.Redis.embedded() {
		cfg, err := c.Redis.connection()
		if err != nil {
			return o, closeAll, err
		}
		r, err := redisconn.Connect(cfg)
		if err != nil {
			return o, closeAll, err
		}
		closers = append(closers, func() error { r.Close(); return nil })
		o.Counters = anyRedisCounters{redisCounters{r, journal.Keys{Namespace: c.Redis.Namespace, Partition: partition}}}
	}
	if c.ProviderFile != "" {
		p, err := simulated.Open(c.ProviderFile)
		if err != nil {
			return o, closeAll, err
		}
		closers = append(closers, p.Close)
		o.Provider = auditedProvider(c.ProviderFile, p)
	}
	return o, closeAll, nil
}
