package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spillway/spillway/store"
)

type migrateCmd struct {
	Up     migrateUpCmd     `cmd:"" help:"Apply what is pending. Safe to run at any time, and by several processes at once."`
	Status migrateStatusCmd `cmd:"" help:"List all migrations and when each was applied. Exit status 1 if any is pending."`
}

type migrateUpCmd struct {
	SQL sqlConfig `embed:""`
}

// Run applies what is pending.
func (c *migrateUpCmd) Run(ctx context.Context, out io.Writer) error {
	return withDB(ctx, c.SQL, func(db *store.DB) error {
		applied, err := store.NewMigrator(db).Up(ctx)
		for _, name := range applied {
			fmt.Fprintln(out, "applied", name)
		}
		if err == nil && len(applied) == 0 {
			fmt.Fprintln(out, "nothing is pending")
		}
		return err
	})
}

type migrateStatusCmd struct {
	SQL sqlConfig `embed:""`
}

var errPending = errors.New("migrations are pending: run `spillway migrate up`")

// Run lists the migrations.
func (c *migrateStatusCmd) Run(ctx context.Context, out io.Writer) error {
	return withDB(ctx, c.SQL, func(db *store.DB) error {
		all, err := store.NewMigrator(db).Status(ctx)
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
	})
}

// withDB opens the database for one command.
func withDB(ctx context.Context, cfg sqlConfig, f func(db *store.DB) error) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	db, err := store.Open(ctx, cfg.dsn())
	if err != nil {
		return err
	}
	return errors.Join(f(db), db.Close())
}
