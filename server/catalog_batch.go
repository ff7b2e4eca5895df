package server

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/store"
)

// CreateProducts adds several products, or none.
func (c Catalog) CreateProducts(ctx context.Context, req *spillwayv1.CreateProductsRequest) (*spillwayv1.CreateProductsResponse, error) {
	products := make([]store.Product, len(req.GetProducts()))
	for i, m := range req.GetProducts() {
		p, err := c.input(m.GetProduct())
		if err != nil {
			return nil, inField(fmt.Sprintf("products[%d]", i), err)
		}
		p.Stock = m.GetInitialStock()
		products[i] = p
	}
	if err := c.Products.CreateAll(ctx, products, actor(ctx)); err != nil {
		return nil, err
	}
	messages, err := c.messages(ctx, products, "")
	return &spillwayv1.CreateProductsResponse{Products: messages}, err
}

// adjustsAtOnce bounds the adjustments of one batch that wait for SQL at once. They share the commits of the flusher.
const adjustsAtOnce = 16

// AdjustStocks changes the stock of several SKUs, each for itself.
func (c Catalog) AdjustStocks(ctx context.Context, req *spillwayv1.AdjustStocksRequest) (*spillwayv1.AdjustStocksResponse, error) {
	results := make([]*spillwayv1.AdjustStocksResult, len(req.GetAdjustments()))
	var group errgroup.Group
	group.SetLimit(adjustsAtOnce)
	for i, a := range req.GetAdjustments() {
		group.Go(func() (err error) {
			results[i], err = c.adjustOne(ctx, a)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return &spillwayv1.AdjustStocksResponse{Results: results}, nil
}

func (c Catalog) adjustOne(ctx context.Context, a *spillwayv1.AdjustStockRequest) (*spillwayv1.AdjustStocksResult, error) {
	out := &spillwayv1.AdjustStocksResult{Sku: a.GetSku()}
	done, err := c.AdjustStock(ctx, a)
	if err == nil {
		left := done.GetAvailable()
		out.Available = &left
		return out, nil
	}
	out.Error, err = itemError(ctx, err)
	return out, err
}
