package app

import (
	"context"

	"github.com/spillway/spillway/catalog"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/store"
)

// priceList reads names and prices from the cache.
type priceList struct{ cache *catalog.Cache }

// remotePrices reads names and prices from a catalogue in another process.
type remotePrices struct{ products *catalog.Client }

// Prices returns the prices of all SKUs; one that is unknown is an error.
func (l remotePrices) Prices(ctx context.Context, skus []order.SKU) (map[order.SKU]server.ProductPrice, error) {
	found, err := l.products.GetAll(ctx, skus)
	if err != nil {
		return nil, err
	}
	out := make(map[order.SKU]server.ProductPrice, len(skus))
	for _, sku := range skus {
		p, ok := found[sku]
		if !ok {
			return nil, order.ProductNotFound(sku)
		}
		out[sku] = productPrice(p)
	}
	return out, nil
}

func productPrice(p store.Product) server.ProductPrice {
	return server.ProductPrice{Name: p.Name, Price: p.Price, Archived: p.Archived, MaxPerCustomer: p.MaxPerCustomer, SaleStartsAt: p.SaleStartsAt}
}

// Prices returns the prices of all SKUs; one that is unknown is an error.
func (l priceList) Prices(ctx context.Context, skus []order.SKU) (map[order.SKU]server.ProductPrice, error) {
	out := make(map[order.SKU]server.ProductPrice, len(skus))
	for _, sku := range skus {
		p, err := l.cache.Get(ctx, sku)
		if err != nil {
			return nil, err
		}
		out[sku] = productPrice(p)
	}
	return out, nil
}
