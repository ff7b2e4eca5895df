package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spillway/spillway/app"
	"github.com/spillway/spillway/audit"
)

type auditCmd struct {
	SQL     sqlFlags      `embed:""`
	Redis   redisFlags    `embed:""`
	Drained bool          `help:"Demand that nothing is on its way any more: no order without its row, no cancellation unfinished, no charge without its order. For a shop that is stopped or idle."`
	Wait    time.Duration `placeholder:"DURATION" help:"With --drained: repeat the audit until it finds no violation, for this long at most."`
	Grace   time.Duration `default:"15m" help:"Without --drained: how long something may be on its way before it counts as lost; more than --lost-after."`
	MaxPaid time.Duration `name:"max-paid-age" default:"1h" help:"How long an order may be PAID and not shipped."`

	ProviderFile string `name:"simulate-provider-file" env:"SPILLWAY_SIMULATE_PROVIDER_FILE" placeholder:"PATH" help:"The file of the simulated payment provider: what it took and gave back is compared with the ledger."`

	outputFlags
}

// Help is the end of the command's --help.
func (*auditCmd) Help() string {
	return `It reads SQL at one moment and changes nothing, so it may run at any time, also beside a busy shop. It checks that
stock adds up per SKU, that each order is charged or refunded exactly once and in full, that states, cancellations,
shipments and mails agree, and that nothing lasts too long. Each finding names the rule and the order or SKU that breaks
it; docs/design/audit.md explains them.

With --drained and --redis it also compares Redis' counters with SQL, and with --simulate-provider-file what the payment
provider took and gave back with the ledger. Without them these rules are left out.

Exit status: 0 without a violation, 1 if the audit failed, 3 if a rule is violated.

Examples:

    spillway audit
    spillway audit --mysql 'USER:PASS@tcp(HOST:3306)/DB' --drained --wait 60s --output json`
}

// Run audits and prints the report.
func (c *auditCmd) Run(ctx context.Context, env environment) error {
	cfg := c.config()
	if err := cfg.Validate(); err != nil {
		return usageError(err)
	}
	r, err := app.RunAudit(ctx, cfg, env.log)
	if err == nil {
		err = c.print(env.out, r)
	}
	if err != nil {
		return fmt.Errorf("the audit could not be done: %w", err)
	}
	if !r.OK {
		return &exitError{exitViolated, fmt.Errorf("%d of %d rules are violated", r.ViolatedRules(), len(r.Rules))}
	}
	return nil
}

func (c *auditCmd) config() app.AuditRun {
	return app.AuditRun{
		SQL: c.SQL.config(), Redis: c.Redis.config(), ProviderFile: c.ProviderFile, Drained: c.Drained, Wait: c.Wait, Grace: c.Grace,
		MaxPaidAge: c.MaxPaid,
	}
}

func (c *auditCmd) print(out io.Writer, r audit.Report) error {
	if c.json() {
		return printJSON(out, r)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tCHECKED\tBROKEN\tWHAT IT DEMANDS")
	for _, res := range r.Rules {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", res.Rule, res.Checked, res.Violations, res.Description)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(r.Violations) > 0 {
		fmt.Fprintln(w, "\nBROKEN RULE\tWHO\tWHAT IS WRONG")
		for _, f := range r.Violations {
			fmt.Fprintf(w, "%s\t%s\t%s\n", f.Rule, who(f), printable(f.Detail))
		}
	}
	verdict := "no violations"
	if !r.OK {
		verdict = fmt.Sprintf("%d of %d rules are broken", r.ViolatedRules(), len(r.Rules))
	}
	fmt.Fprintf(w, "\n%s: %s, with %d orders in flight\n", r.ReadTime.Format(time.RFC3339), verdict, r.OrdersInFlight)
	return w.Flush()
}

// who names the order or the SKU of a finding, or both.
func who(f audit.Violation) string {
	var parts []string
	if f.SKU != "" {
		parts = append(parts, "SKU "+string(f.SKU))
	}
	if f.OrderID != "" {
		parts = append(parts, "order "+string(f.OrderID))
	}
	if len(parts) == 0 {
		return "-"
	}
	return printable(strings.Join(parts, ", "))
}
