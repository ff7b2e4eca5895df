package onlineboutique

import (
	"context"
	"strings"

	"github.com/spillway/spillway/gen/hipstershop"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

const (
	// pageSize is the maximum of a page of Spillway's catalogue.
	pageSize = 100
	// maxProducts bounds a list. The interface has no pages, and the front end makes a call for each product of its home page.
	maxProducts = 1000
	// dollars is the currency of prices in this interface.
	dollars = "USD"
)

// products is the ProductCatalogService.
type products struct{ Shop }

// ListProducts returns the products that are sold.
func (p products) ListProducts(ctx context.Context, _ *hipstershop.Empty) (*hipstershop.ListProductsResponse, error) {
	found, err := p.list(ctx, "", maxProducts)
	return &hipstershop.ListProductsResponse{Products: productMessages(found)}, err
}

// GetProduct returns one product, also one that is not sold any more: it may be in a cart.
func (p products) GetProduct(ctx context.Context, req *hipstershop.GetProductRequest) (*hipstershop.Product, error) {
	resp, err := call(ctx, p.Catalog.GetProduct, &spillwayv1.GetProductRequest{Sku: req.GetId(), CurrencyCode: dollars})
	if err != nil {
		return nil, err
	}
	return productMessage(resp.GetProduct()), nil
}

// SearchProducts returns the first page of what is found.
func (p products) SearchProducts(ctx context.Context, req *hipstershop.SearchProductsRequest) (*hipstershop.SearchProductsResponse, error) {
	if strings.TrimSpace(req.GetQuery()) == "" {
		found, err := p.list(ctx, "", pageSize)
		return &hipstershop.SearchProductsResponse{Results: productMessages(found)}, err
	}
	resp, err := call(ctx, p.Catalog.SearchProducts, &spillwayv1.SearchProductsRequest{Query: req.GetQuery(), PageSize: pageSize, CurrencyCode: dollars})
	return &hipstershop.SearchProductsResponse{Results: productMessages(resp.GetProducts())}, err
}

// list returns up to most products of the category, or of all if it is empty.
func (s Shop) list(ctx context.Context, category string, most int) (found []*spillwayv1.Product, err error) {
	for token := ""; len(found) < most; {
		resp, err := call(ctx, s.Catalog.ListProducts, &spillwayv1.ListProductsRequest{
			PageSize: pageSize, PageToken: token, Category: category, CurrencyCode: dollars,
		})
		if err != nil {
			return nil, err
		}
		found = append(found, resp.GetProducts()...)
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	return found[:min(len(found), most)], nil
}

func productMessages(found []*spillwayv1.Product) []*hipstershop.Product {
	out := make([]*hipstershop.Product, len(found))
	for i, p := range found {
		out[i] = productMessage(p)
	}
	return out
}

func productMessage(p *spillwayv1.Product) *hipstershop.Product {
	return &hipstershop.Product{
		Id: p.GetSku(), Name: p.GetName(), Description: p.GetDescription(), Picture: picturePath(p.GetPicture()),
		PriceUsd: moneyMessage(p.GetPrice()), Categories: p.GetCategories(),
	}
}

// pictureFolder holds the pictures of products, here and in the front end.
const pictureFolder = "/static/img/products/"

// picturePath returns the path of a picture as the front end knows it: NAME.jpg for our NAME.svg, which is served under both names.
func picturePath(path string) string {
	if name, ok := strings.CutSuffix(path, ".svg"); ok && strings.HasPrefix(path, pictureFolder) {
		return name + ".jpg"
	}
	return path
}
