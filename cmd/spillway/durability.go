package main

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/app"
)

type durabilityCmd struct {
	To  string   `arg:"" optional:"" enum:",journal,replica,sql" default:"" help:"The new setting: journal, replica or sql. Stop all processes of the shop first: those that run with another one stop taking orders."`
	SQL sqlFlags `embed:"" group:"SQL"`
}

// Help is the end of the command's --help.
func (*durabilityCmd) Help() string {
	return `Examples:

    spillway durability
    spillway durability sql --mysql-file /run/secrets/mysql`
}

// Run prints the recorded durability setting, after changing it if a new one is given.
func (c *durabilityCmd) Run(ctx context.Context, env environment) error {
	recorded, err := app.Durability(ctx, c.SQL.config(), c.To)
	if err != nil {
		return err
	}
	if recorded == "" {
		recorded = "none: the first process to start records its own setting"
	}
	fmt.Fprintln(env.out, recorded)
	return nil
}
