package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spillway/spillway/app"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply what is pending. Safe to run at any time, and by several processes at once."`
	Status migrateStatusCmd `cmd:"" help:"List all migrations and when each was applied. Exit status 1 if any is pending."`
}

type migrateUpCmd struct {
	SQL sqlFlags `embed:""`
}

// Run applies what is pending.
func (c *migrateUpCmd) Run(ctx context.Context, out io.Writer) error {
	applied, err := app.MigrateUp(ctx, c.SQL.config())
	for _, name := range applied {
		fmt.Fprintln(out, "applied", name)
	}
	if err == nil && len(applied) == 0 {
		fmt.Fprintln(out, "nothing is pending")
	}
	return err
}

type migrateStatusCmd struct {
	SQL sqlFlags `embed:""`
}

var errPending = errors.New("migrations are pending: run `spillway migrate up`")

// Run lists the migrations.
func (c *migrateStatusCmd) Run(ctx context.Context, out io.Writer) error {
	all, err := app.Migrations(ctx, c.SQL.config())
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tFILE\tAPPLIED")
	var pending error
	for _, s := range all {
		applied := "pending"
		if s.AppliedAt == nil {
			pending = errPending
		} else {
			applied = s.AppliedAt.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Version, s.Name, applied)
	}
	return errors.Join(w.Flush(), pending)
}
