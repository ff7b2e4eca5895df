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

// Run creates the products, if there never were any.
func (c *seedCmd) Run(ctx context.Context, out io.Writer) error {
	return withDB(ctx, c.SQL, func(db *store.DB) error {
		if err := store.NewMigrator(db).Check(ctx); err != nil {
			return err
		}
		created, err := seed(ctx, db)
		if err == nil {
			fmt.Fprintln(out, seedResult(created))
		}
		return err
	})
}

func seedResult(created int) string {
	if created == 0 {
		return "created no products: the database has, or had, some of its own"
	}
	return fmt.Sprintf("created %d products", created)
}

// seed fills a database that never had products with the demonstration catalogue.
func seed(ctx context.Context, db *store.DB) (created int, err error) {
	products, err := catalog.Seed()
	if err != nil {
		return 0, err
	}
	return store.NewProducts(db).Seed(ctx, products)
}
