package server

import (
	"context"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// ProductStore keeps the catalogue.
type ProductStore interface {
	Create(ctx context.Context, p store.Product, actor string) error
	// CreateAll creates all products or none.
	CreateAll(ctx context.Context, products []store.Product, actor string) error
	// Update changes the given fields.
	Update(ctx context.Context, p store.Product, fields []store.ProductField) error
	List(ctx context.Context, after order.SKU, limit int) ([]store.Product, error)
	// ListAll is List including archived products.
	ListAll(ctx context.Context, after order.SKU, limit int) ([]store.Product, error)
	// Find is the filtered, searched or sorted list.
	Find(ctx context.Context, q store.ProductQuery) ([]store.Product, error)
}

// ProductCache reads single products.
type ProductCache interface {
	Get(ctx context.Context, sku order.SKU) (store.Product, error)
	Replaced(ctx context.Context, sku order.SKU) error
}

// Availability reads how many units can be bought now.
type Availability interface {
	Available(ctx context.Context, skus []order.SKU) (map[order.SKU]int64, error)
}

// Converter converts money.
type Converter interface {
	Convert(m order.Money, to order.Currency) (order.Money, error)
}

// Catalog is the CatalogService.
type Catalog struct {
	Products  ProductStore
	Cache     ProductCache
	Available Availability
	Rates     Converter
	Adjuster  StockAdjuster
}

// fieldCurrencyCode is the field with the currency that the caller wants, in JSON.
const fieldCurrencyCode = "currencyCode"

// GetProduct returns one product.
func (c Catalog) GetProduct(ctx context.Context, req *spillwayv1.GetProductRequest) (*spillwayv1.GetProductResponse, error) {
	p, err := c.one(ctx, order.SKU(req.GetSku()), req.GetCurrencyCode())
	return &spillwayv1.GetProductResponse{Product: p}, err
}

func (c Catalog) one(ctx context.Context, sku order.SKU, currency string) (*spillwayv1.Product, error) {
	found, err := c.Cache.Get(ctx, sku)
	if err != nil {
		return nil, err
	}
	messages, err := c.messages(ctx, []store.Product{found}, currency)
	if err != nil {
		return nil, err
	}
	return messages[0], nil
}

// GetProducts returns several products.
func (c Catalog) GetProducts(ctx context.Context, req *spillwayv1.GetProductsRequest) (*spillwayv1.GetProductsResponse, error) {
	skus := make([]order.SKU, len(req.GetSkus()))
	for i, sku := range req.GetSkus() {
		skus[i] = order.SKU(sku)
	}
	read, err := readProducts(ctx, c.Cache, skus)
	if err != nil {
		return nil, err
	}
	resp := &spillwayv1.GetProductsResponse{}
	found := make([]store.Product, 0, len(skus))
	for _, sku := range skus {
		if p, ok := read[sku]; ok {
			found = append(found, p)
		} else {
			resp.MissingSkus = append(resp.MissingSkus, string(sku))
		}
	}
	resp.Products, err = c.messages(ctx, found, req.GetCurrencyCode())
	return resp, err
}

func skuOf(p store.Product) string { return string(p.SKU) }

// messages adds the available units, and converts prices if the request has a currency.
func (c Catalog) messages(ctx context.Context, products []store.Product, currency string) ([]*spillwayv1.Product, error) {
	skus := make([]order.SKU, len(products))
	for i, p := range products {
		skus[i] = p.SKU
	}
	available, err := c.Available.Available(ctx, skus)
	if err != nil {
		return nil, err
	}
	out := make([]*spillwayv1.Product, len(products))
	for i, p := range products {
		price := p.Price
		if currency != "" {
			if price, err = c.Rates.Convert(price, order.Currency(currency)); err != nil {
				return nil, inField(fieldCurrencyCode, err)
			}
		}
		out[i] = &spillwayv1.Product{
			Sku: string(p.SKU), Name: p.Name, Description: p.Description, Picture: p.Picture, Price: wire.Money(price),
			Categories: p.Categories, Available: available[p.SKU], Archived: p.Archived,
			MaxPerCustomer: int32(p.MaxPerCustomer), //nolint:gosec // At most order.MaxQuantity.
			SaleStartTime:  wire.Time(p.SaleStartsAt),
		}
	}
	return out, nil
}
