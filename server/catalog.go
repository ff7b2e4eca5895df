package server

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// ProductStore keeps the catalogue.
type ProductStore interface {
	Create(ctx context.Context, p store.Product, actor string) error
	// Update changes the given fields.
	Update(ctx context.Context, p store.Product, fields []store.ProductField) error
	List(ctx context.Context, after order.SKU, limit int) ([]store.Product, error)
	// ListAll is List including archived products.
	ListAll(ctx context.Context, after order.SKU, limit int) ([]store.Product, error)
	Search(ctx context.Context, text string, after order.SKU, limit int) ([]store.Product, error)
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

// ListProducts returns a page of products. Only operators may include archived ones.
func (c Catalog) ListProducts(ctx context.Context, req *spillwayv1.ListProductsRequest) (*spillwayv1.ListProductsResponse, error) {
	after, err := pageAfter(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	list := c.Products.List
	if req.GetIncludeArchived() {
		if caller, _ := auth.From(ctx); !caller.Has(auth.Operator) {
			return nil, connect.NewError(connect.CodePermissionDenied, errors.New("includeArchived needs the role "+string(auth.Operator)))
		}
		list = c.Products.ListAll
	}
	n := pageSize(req.GetPageSize())
	found, err := list(ctx, order.SKU(after), n+1)
	if err != nil {
		return nil, err
	}
	page, next := paginate(found, n, skuOf)
	products, err := c.messages(ctx, page, req.GetCurrencyCode())
	return &spillwayv1.ListProductsResponse{Products: products, NextPageToken: next}, err
}

// SearchProducts returns a page of the products that contain the query.
func (c Catalog) SearchProducts(ctx context.Context, req *spillwayv1.SearchProductsRequest) (*spillwayv1.SearchProductsResponse, error) {
	after, err := pageAfter(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	n := pageSize(req.GetPageSize())
	found, err := c.Products.Search(ctx, req.GetQuery(), order.SKU(after), n+1)
	if err != nil {
		return nil, err
	}
	page, next := paginate(found, n, skuOf)
	products, err := c.messages(ctx, page, req.GetCurrencyCode())
	return &spillwayv1.SearchProductsResponse{Products: products, NextPageToken: next}, err
}

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
		}
	}
	return out, nil
}
