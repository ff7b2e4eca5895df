package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillway/spillway/catalog"
)

// The paths of the reading procedures.
const (
	listProducts = "/spillway.v1.CatalogService/ListProducts"
	getProduct   = "/spillway.v1.CatalogService/GetProduct"
)

// runReads measures reading the demonstration catalogue, the first page and one product.
func runReads(ctx context.Context, r *run, b *build) (_ []row, err error) {
	s, err := r.openShop(ctx, b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := r.stage.command(ctx, commandTimeout, r.stage.dir, s.environment(), b.binary, "seed"); err != nil {
		return nil, err
	}
	products, err := catalog.Seed()
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, read := range []struct{ name, path, body string }{
		{rowList, listProducts, `{}`},
		{rowGet, getProduct, fmt.Sprintf(`{"sku":%q}`, products[0].SKU)},
	} {
		o, err := r.load().run(ctx, callers(s.serve.addr, read.path, s.tokens, []string{read.body}, succeeded))
		if err != nil {
			return nil, err
		}
		rows = append(rows, measured(read.name, o).withCPU(s.meter, o))
	}
	return rows, s.settle(ctx)
}
