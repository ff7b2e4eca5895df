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

// Help is the end of the command's --help.
func (*migrateUpCmd) Help() string {
	return `Examples:

    spillway migrate up
    spillway migrate up --mysql 'USER:PASS@tcp(HOST:3306)/DB'`
}

// Run applies what is pending.
func (c *migrateUpCmd) Run(ctx context.Context, env environment) error {
	applied, err := app.MigrateUp(ctx, c.SQL.config())
	for _, name := range applied {
		fmt.Fprintln(env.out, "applied", name)
	}
	if err == nil && len(applied) == 0 {
		fmt.Fprintln(env.out, "nothing is pending")
	}
	return err
}

type migrateStatusCmd struct {
	SQL sqlFlags `embed:""`
	outputFlags
}

var errPending = errors.New("migrations are pending: run `spillway migrate up`")

// Help is the end of the command's --help.
func (*migrateStatusCmd) Help() string {
	return `Examples:

    spillway migrate status
    spillway migrate status --mysql-file /run/secrets/mysql --output json`
}

// migrationLine is one migration as json prints it.
type migrationLine struct {
	Version   string     `json:"version"`
	File      string     `json:"file"`
	AppliedAt *time.Time `json:"applied_at"` // null while it is pending
}

// Run lists the migrations.
func (c *migrateStatusCmd) Run(ctx context.Context, env environment) error {
	all, err := app.Migrations(ctx, c.SQL.config())
	if err != nil {
		return err
	}
	lines := make([]migrationLine, len(all))
	var pending error
	for i, s := range all {
		lines[i] = migrationLine{s.Version, s.Name, s.AppliedAt}
		if s.AppliedAt == nil {
			pending = errPending
		}
	}
	if c.json() {
		return errors.Join(printJSON(env.out, map[string]any{"migrations": lines}), pending)
	}
	return errors.Join(migrationTable(env.out, lines), pending)
}

func migrationTable(out io.Writer, lines []migrationLine) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tFILE\tAPPLIED")
	for _, l := range lines {
		applied := "pending"
		if l.AppliedAt != nil {
			applied = l.AppliedAt.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", l.Version, l.File, applied)
	}
	return w.Flush()
}
