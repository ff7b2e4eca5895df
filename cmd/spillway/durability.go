package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spillway/spillway/store"
)

type durabilityCmd struct {
	To  string    `arg:"" optional:"" enum:",journal,sql" default:"" help:"The new setting, journal or sql. Stop all processes of the shop first: those that run with another one stop taking orders."`
	SQL sqlConfig `embed:"" group:"SQL"`
}

// Run prints the recorded durability setting, after changing it if a new one is given.
func (c *durabilityCmd) Run(ctx context.Context, out io.Writer) error {
	return withDB(ctx, c.SQL, func(db *store.DB) error {
		st := store.NewStock(db)
		if c.To != "" {
			if err := st.SetDurability(ctx, partition, c.To); err != nil {
				return err
			}
		}
		recorded, err := st.Durability(ctx, partition)
		if err == nil && recorded == "" {
			recorded = "none: the first process to start records its own setting"
		}
		fmt.Fprintln(out, recorded)
		return err
	})
}
