package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spillway/spillway/app"
)

type seedCmd struct {
	SQL sqlFlags `embed:""`
}

// Run creates the products, if there never were any.
func (c *seedCmd) Run(ctx context.Context, out io.Writer) error {
	created, err := app.Seed(ctx, c.SQL.config())
	if err == nil {
		fmt.Fprintln(out, seedResult(created))
	}
	return err
}

func seedResult(created int) string {
	if created == 0 {
		return "created no products: the database has, or had, some of its own"
	}
	return fmt.Sprintf("created %d products", created)
}
