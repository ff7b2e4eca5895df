package server

import (
	"context"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// StockAdjuster changes stock by hand, and returns when the change is durable.
type StockAdjuster interface {
	Adjust(ctx context.Context, a order.Adjustment) (available int64, err error)
}

// CreateProduct adds a product with its first stock.
func (c Catalog) CreateProduct(ctx context.Context, req *spillwayv1.CreateProductRequest) (*spillwayv1.CreateProductResponse, error) {
	p, err := c.input(req.GetProduct())
	if err != nil {
		return nil, err
	}
	p.Stock = req.GetInitialStock()
	if err := c.Products.Create(ctx, p, actor(ctx)); err != nil {
		return nil, err
	}
	m, err := c.one(ctx, p.SKU, "")
	return &spillwayv1.CreateProductResponse{Product: m}, err
}

// input reads a product. Its price must be in a currency that can be converted, so that it can be bought in others.
func (c Catalog) input(m *spillwayv1.ProductInput) (store.Product, error) {
	price, err := wire.FromMoney(m.GetPrice())
	if err == nil {
		_, err = c.Rates.Convert(price, price.Currency)
	}
	err = inField("product.price", err)
	categories := m.GetCategories()
	if categories == nil {
		categories = []string{}
	}
	most := order.DefaultMaxPerCustomer
	if m.MaxPerCustomer != nil {
		most = int(m.GetMaxPerCustomer())
	}
	return store.Product{
		SKU: order.SKU(m.GetSku()), Name: m.GetName(), Description: m.GetDescription(), Picture: m.GetPicture(), Price: price,
		Categories: categories, Archived: m.GetArchived(), MaxPerCustomer: most,
		SaleStartsAt: wire.FromTime(m.GetSaleStartTime()),
	}, err
}

// AdjustStock changes a SKU's stock.
func (c Catalog) AdjustStock(ctx context.Context, req *spillwayv1.AdjustStockRequest) (*spillwayv1.AdjustStockResponse, error) {
	left, err := c.Adjuster.Adjust(ctx, order.Adjustment{
		ID: req.GetAdjustmentId(), SKU: order.SKU(req.GetSku()), Units: req.GetDelta(), Reason: req.GetReason(), Actor: actor(ctx),
	})
	if err != nil {
		return nil, err
	}
	return &spillwayv1.AdjustStockResponse{Sku: req.GetSku(), Available: left}, nil
}

func actor(ctx context.Context) string {
	c, _ := auth.From(ctx)
	return string(c.Customer)
}
