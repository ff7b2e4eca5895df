package server

import (
	"context"
	"errors"
	"strings"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

var productSorts = map[spillwayv1.ProductSort]store.ProductSort{
	spillwayv1.ProductSort_PRODUCT_SORT_PRICE:            store.ByPrice,
	spillwayv1.ProductSort_PRODUCT_SORT_PRICE_DESCENDING: store.ByPriceDescending,
	spillwayv1.ProductSort_PRODUCT_SORT_NAME:             store.ByName,
	spillwayv1.ProductSort_PRODUCT_SORT_NEWEST:           store.Newest,
}

// ListProducts returns a page of products. Only operators may include archived ones.
func (c Catalog) ListProducts(ctx context.Context, req *spillwayv1.ListProductsRequest) (*spillwayv1.ListProductsResponse, error) {
	if req.GetIncludeArchived() {
		if caller, _ := auth.From(ctx); !caller.ReadsAll() {
			return nil, connect.NewError(connect.CodePermissionDenied, errors.New("includeArchived needs the role "+string(auth.Operator)))
		}
	}
	page, next, err := c.page(ctx, store.ProductQuery{
		Category: req.GetCategory(), InStock: req.GetInStock(), Sort: productSorts[req.GetSort()], Archived: req.GetIncludeArchived(),
	}, req.GetPageToken(), pageSize(req.GetPageSize()))
	if err != nil {
		return nil, err
	}
	products, err := c.messages(ctx, page, req.GetCurrencyCode())
	return &spillwayv1.ListProductsResponse{Products: products, NextPageToken: next}, err
}

// SearchProducts returns a page of the products that have the words.
func (c Catalog) SearchProducts(ctx context.Context, req *spillwayv1.SearchProductsRequest) (*spillwayv1.SearchProductsResponse, error) {
	words := strings.Fields(req.GetQuery())
	if len(words) == 0 || len(words) > store.MaxSearchWords {
		return nil, invalidField("query", "it has %d words: send 1 to %d", len(words), store.MaxSearchWords)
	}
	page, next, err := c.page(ctx, store.ProductQuery{
		Text: strings.Join(words, " "), Category: req.GetCategory(), InStock: req.GetInStock(), Sort: productSorts[req.GetSort()],
	}, req.GetPageToken(), pageSize(req.GetPageSize()))
	if err != nil {
		return nil, err
	}
	products, err := c.messages(ctx, page, req.GetCurrencyCode())
	return &spillwayv1.SearchProductsResponse{Products: products, NextPageToken: next}, err
}

// page reads n products after the token, and the token of the next page. The plain list reads its index on connections of readers, and its
// tokens are SKUs; others are filtered and sorted on the connections of searches, and their tokens are bound to the filters.
func (c Catalog) page(ctx context.Context, q store.ProductQuery, token string, n int) (page []store.Product, next string, err error) {
	after, err := pageAfter(token)
	if err != nil {
		return nil, "", err
	}
	filter := productFilter(q)
	if after != "" {
		sku, ok := strings.CutPrefix(after, filter)
		if !ok || strings.Contains(sku, filterEnd) {
			return nil, "", errOtherFilters()
		}
		q.After = order.SKU(sku)
	}
	q.Limit = n + 1
	var found []store.Product
	switch {
	case filter != "":
		found, err = c.Products.Find(ctx, q)
	case q.Archived:
		found, err = c.Products.ListAll(ctx, q.After, q.Limit)
	default:
		found, err = c.Products.List(ctx, q.After, q.Limit)
	}
	if err != nil {
		return nil, "", err
	}
	page, next = paginate(found, n, func(p store.Product) string { return filter + skuOf(p) })
	return page, next, nil
}

// productFilter stands for the filters in a page token; empty for the plain list.
func productFilter(q store.ProductQuery) string {
	if q == (store.ProductQuery{Archived: q.Archived}) {
		return ""
	}
	return filterHash("%q %q %t %t %d", q.Text, q.Category, q.InStock, q.Archived, q.Sort)
}
