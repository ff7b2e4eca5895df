package main

import (
	"context"
	"fmt"

	"github.com/spillway/spillway/app"
)

type seedCmd struct {
	SQL sqlFlags `embed:""`
}

// Help is the end of the command's --help.
func (*seedCmd) Help() string {
	return `Examples:

    spillway seed
    spillway seed --mysql 'USER:PASS@tcp(HOST:3306)/DB'`
}

// Run creates the products, if there never were any.
func (c *seedCmd) Run(ctx context.Context, env environment) error {
	created, err := app.Seed(ctx, c.SQL.config())
	if err == nil {
		fmt.Fprintln(env.out, seedResult(created))
	}
	return err
}

func seedResult(created int) string {
	if created == 0 {
		return "created no products: the database has, or had, some of its own"
	}
	return fmt.Sprintf("created %d products", created)
}
