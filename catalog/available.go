package catalog

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/jellydator/ttlcache/v3"
	"golang.org/x/sync/singleflight"

	"github.com/spillway/spillway/order"
)

const (
	// availableTTL is how long the units of a product are shown before they are read again. Shorter than a person notices, and ten reads a
	// second of a product that everybody looks at.
	availableTTL = 100 * time.Millisecond
	// maxAvailable is the maximum number of products whose units are cached, of about 200 bytes each.
	maxAvailable = 10_000
)

// Units reads how many units of each product can be bought now. Unknown products are absent.
type Units interface {
	Available(ctx context.Context, skus []order.SKU) (map[order.SKU]int64, error)
}

// Available caches the units that are shown to readers, for availableTTL. Concurrent readers of the same products make one read. It is safe
// for concurrent use.
type Available struct {
	units   Units
	cache   *ttlcache.Cache[order.SKU, int64]
	flights singleflight.Group
}

// NewAvailable makes the cache.
func NewAvailable(units Units) *Available {
	return &Available{units: units, cache: ttlcache.New(
		ttlcache.WithTTL[order.SKU, int64](availableTTL), ttlcache.WithCapacity[order.SKU, int64](maxAvailable),
		ttlcache.WithDisableTouchOnHit[order.SKU, int64](),
	)}
}

// Available returns the units of each product, at most availableTTL old, and the error of the read for those that were not cached.
func (a *Available) Available(ctx context.Context, skus []order.SKU) (map[order.SKU]int64, error) {
	out := make(map[order.SKU]int64, len(skus))
	var missing []order.SKU
	for _, sku := range skus {
		if item := a.cache.Get(sku); item != nil {
			out[sku] = item.Value()
		} else {
			missing = append(missing, sku)
		}
	}
	if len(missing) == 0 {
		return out, nil
	}
	found, err, _ := a.flights.Do(fmt.Sprintf("%q", missing), func() (any, error) {
		// The read serves many callers, so it does not end with the context of the first one.
		return a.read(context.WithoutCancel(ctx), missing)
	})
	if err != nil {
		return nil, err
	}
	maps.Copy(out, found.(map[order.SKU]int64)) //nolint:forcetypeassert,errcheck // read returned it.
	return out, nil
}

func (a *Available) read(ctx context.Context, skus []order.SKU) (map[order.SKU]int64, error) {
	found, err := a.units.Available(ctx, skus)
	if err != nil {
		return nil, err
	}
	for sku, n := range found {
		a.cache.Set(sku, n, ttlcache.DefaultTTL)
	}
	return found, nil
}
