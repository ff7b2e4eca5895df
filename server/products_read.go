package server

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// productReads bounds the products that one call reads at once. Nearly all are in the memory of the process.
const productReads = 8

// readProducts reads products through the cache; those that do not exist are absent.
func readProducts(ctx context.Context, cache ProductCache, skus []order.SKU) (map[order.SKU]store.Product, error) {
	var mu sync.Mutex
	out := make(map[order.SKU]store.Product, len(skus))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(productReads)
	for _, sku := range skus {
		group.Go(func() error {
			p, err := cache.Get(ctx, sku)
			if errors.Is(err, order.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			out[sku] = p
			return nil
		})
	}
	return out, group.Wait()
}
