package catalog

import (
	"context"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/spillway/spillway/order"
)

const (
	// availableTTL is how long the units of a product are shown before they are read again. Shorter than a person notices, and ten reads a
	// second of a product that everybody looks at.
	availableTTL = 100 * time.Millisecond
	// maxAvailable is the maximum number of products whose units are cached, of about 100 bytes each.
	maxAvailable = 10_000
)

// Units reads how many units of each product can be bought now. Unknown products are absent.
type Units interface {
	Available(ctx context.Context, skus []order.SKU) (map[order.SKU]int64, error)
}

// Available caches the units that are shown to readers, for availableTTL. It makes one read of a product for all concurrent readers. It is
// safe for concurrent use.
type Available struct {
	units Units
	cache *otter.Cache[order.SKU, int64]
}

// NewAvailable makes the cache. Close ends its goroutine.
func NewAvailable(units Units) *Available {
	return &Available{units: units, cache: otter.Must(&otter.Options[order.SKU, int64]{
		MaximumSize: maxAvailable, ExpiryCalculator: otter.ExpiryWriting[order.SKU, int64](availableTTL),
	})}
}

// Available returns the units of each product, at most availableTTL old, and the error of the read for those that were not cached.
func (a *Available) Available(ctx context.Context, skus []order.SKU) (map[order.SKU]int64, error) {
	return a.cache.BulkGet(ctx, skus, otter.BulkLoaderFunc[order.SKU, int64](
		func(ctx context.Context, missing []order.SKU) (map[order.SKU]int64, error) {
			// The read serves many callers, so it does not end with the context of the first one.
			return a.units.Available(context.WithoutCancel(ctx), missing)
		}))
}

// Close ends the cache's goroutine.
func (a *Available) Close() error {
	a.cache.StopAllGoroutines()
	return nil
}
