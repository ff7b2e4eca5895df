package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spillway/spillway/catalog"
	"github.com/spillway/spillway/store"
)

type seedCmd struct {
	SQL sqlConfig `embed:""`
}

// Run creates the products that are missing.
func (c *seedCmd) Run(ctx context.Context, out io.Writer) error {
	return withDB(ctx, c.SQL, func(db *store.DB) error {
		if err := store.NewMigrator(db).Check(ctx); err != nil {
			return err
		}
		created, total, err := seed(ctx, db)
		if err == nil {
			fmt.Fprintf(out, "created %d of %d products; the others were there\n", created, total)
		}
		return err
	})
}

func seed(ctx context.Context, db *store.DB) (created, total int, err error) {
	products, err := catalog.Seed()
	if err != nil {
		return 0, 0, err
	}
	created, err = store.NewProducts(db).Seed(ctx, products)
	return created, len(products), err
}
