package main

import (
	"context"
	"errors"
)

// fewUnits are sold out during the warm-up.
const fewUnits = 100

// runSoldOut measures how many orders serve refuses because the product is sold out.
func runSoldOut(ctx context.Context, r *run, b *build) (_ []row, err error) {
	s, err := r.openShop(ctx, b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	sku, err := s.product(ctx, fewUnits)
	if err != nil {
		return nil, err
	}
	o, err := r.load().run(ctx, callers(s.serve.addr, placeOrder, s.tokens, oneLine(sku), refusedSoldOut))
	if err != nil {
		return nil, err
	}
	s.placed.accepted += o.errors[codePlaced]
	delete(o.errors, codePlaced)
	return []row{measured(rowSoldOut, o).withCPU(s.meter, o)}, s.settle(ctx)
}
