package catalog

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/jellydator/ttlcache/v3"
	"golang.org/x/sync/singleflight"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// maxSKUs is how many products one call requests, as in catalog.proto.
const maxSKUs = 100

// Client reads the products of a CatalogService behind a URL, under a breaker policy. It caches them for localTTL, and concurrent readers of the same products make one
// call. It is safe for concurrent use and does not retry.
type Client struct {
	service spillwayv1connect.CatalogServiceClient
	policy  *breaker.Policy
	cache   *ttlcache.Cache[order.SKU, store.Product]
	flights singleflight.Group
}

// NewClient returns a client.
func NewClient(service spillwayv1connect.CatalogServiceClient, policy *breaker.Policy) *Client {
	return &Client{service: service, policy: policy, cache: ttlcache.New(
		ttlcache.WithTTL[order.SKU, store.Product](localTTL), ttlcache.WithCapacity[order.SKU, store.Product](maxLocal),
		ttlcache.WithDisableTouchOnHit[order.SKU, store.Product](),
	)}
}

// errNotHere means that products are changed at the catalogue's own process.
var errNotHere = errors.New("products are changed in the process that serves the catalogue")

// Replaced fails: the service changes its own caches.
func (*Client) Replaced(context.Context, order.SKU) error { return errNotHere }

// Get returns a product, or order.ErrNotFound. It is at most localTTL older than what the service returns, and its Stock is not set.
func (c *Client) Get(ctx context.Context, sku order.SKU) (store.Product, error) {
	found, err := c.GetAll(ctx, []order.SKU{sku})
	if err != nil {
		return store.Product{}, err
	}
	p, ok := found[sku]
	if !ok {
		return store.Product{}, order.ProductNotFound(sku)
	}
	return p, nil
}

// GetAll is Get for several products, in one call. Those that do not exist are absent.
func (c *Client) GetAll(ctx context.Context, skus []order.SKU) (map[order.SKU]store.Product, error) {
	out := make(map[order.SKU]store.Product, len(skus))
	var missing []order.SKU
	for _, sku := range skus {
		if item := c.cache.Get(sku); item != nil {
			out[sku] = item.Value()
		} else {
			missing = append(missing, sku)
		}
	}
	if len(missing) == 0 {
		return out, nil
	}
	products, err := c.read(ctx, missing)
	if err != nil {
		return nil, err
	}
	for sku, p := range products {
		out[sku] = p.Product
	}
	return out, nil
}

// Available returns how many units of each product can be bought. Unknown products are absent.
func (c *Client) Available(ctx context.Context, skus []order.SKU) (map[order.SKU]int64, error) {
	products, err := c.read(ctx, skus)
	if err != nil {
		return nil, err
	}
	out := make(map[order.SKU]int64, len(products))
	for sku, p := range products {
		out[sku] = p.available
	}
	return out, nil
}

// offered is a product with the units that can be bought.
type offered struct {
	store.Product

	available int64
}

// read requests products, and caches them. It returns when ctx ends.
func (c *Client) read(ctx context.Context, skus []order.SKU) (map[order.SKU]offered, error) {
	flight := c.flights.DoChan(fmt.Sprintf("%q", skus), func() (_ any, err error) {
		// The goroutine of a flight is no request's, so that nothing else recovers a panic, and it would end the process.
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("reading products panicked with a %s\n%s", order.PanicText(r), debug.Stack())
			}
		}()
		// The call serves many readers, so it does not end with the context of the first one.
		return c.request(context.WithoutCancel(ctx), skus)
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", breaker.ErrCallerLeft, ctx.Err())
	case found := <-flight:
		if found.Err != nil {
			return nil, found.Err
		}
		return found.Val.(map[order.SKU]offered), nil //nolint:forcetypeassert,errcheck // request returned it.
	}
}

func (c *Client) request(ctx context.Context, skus []order.SKU) (map[order.SKU]offered, error) {
	if len(skus) > maxSKUs {
		return nil, fmt.Errorf("%d products in a call, must be at most %d: %w", len(skus), maxSKUs, order.ErrInvalid)
	}
	req := &spillwayv1.GetProductsRequest{}
	for _, sku := range skus {
		req.Skus = append(req.Skus, string(sku))
	}
	resp, err := breaker.Call(ctx, c.policy, func(ctx context.Context) (*spillwayv1.GetProductsResponse, error) {
		resp, err := c.service.GetProducts(ctx, req)
		return resp, wire.FromConnect(err)
	})
	if err != nil {
		return nil, err
	}
	out := make(map[order.SKU]offered, len(skus))
	for _, m := range resp.GetProducts() {
		price, err := wire.FromMoney(m.GetPrice())
		if err != nil {
			return nil, fmt.Errorf("price of %s: %w: %w", m.GetSku(), order.ErrUnavailable, err)
		}
		p := store.Product{
			SKU: order.SKU(m.GetSku()), Name: m.GetName(), Description: m.GetDescription(), Picture: m.GetPicture(), Price: price,
			Categories: m.GetCategories(), Archived: m.GetArchived(), MaxPerCustomer: int(m.GetMaxPerCustomer()),
			SaleStartsAt: wire.FromTime(m.GetSaleStartTime()),
		}
		c.cache.Set(p.SKU, p, ttlcache.DefaultTTL)
		out[p.SKU] = offered{Product: p, available: m.GetAvailable()}
	}
	return out, nil
}
