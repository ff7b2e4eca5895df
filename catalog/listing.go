package catalog

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/jellydator/ttlcache/v3"
	"golang.org/x/sync/singleflight"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

const (
	// listingTTL is the TTL of a page of products: as old as a single product may be.
	listingTTL = localTTL
	// maxPages is the maximum number of cached pages, of up to 100 products of about a kilobyte.
	maxPages = 200
)

// Products keeps the catalogue, in SQL.
type Products interface {
	Create(ctx context.Context, p store.Product, actor string) error
	CreateAll(ctx context.Context, products []store.Product, actor string) error
	Update(ctx context.Context, p store.Product, fields []store.ProductField) error
	List(ctx context.Context, after order.SKU, limit int) ([]store.Product, error)
	ListAll(ctx context.Context, after order.SKU, limit int) ([]store.Product, error)
	Find(ctx context.Context, q store.ProductQuery) ([]store.Product, error)
}

// page identifies a page of products as it is after so many changes through the Listing: a query that began before a change does not
// leave its result to readers after it.
type page struct {
	changes int64
	after   order.SKU
	limit   int
}

// Listing reads pages of the products that are sold through a cache. Concurrent readers of one page make one query. A change through it is in the
// next page; one of another process at most listingTTL later. It is safe for concurrent use.
type Listing struct {
	Products

	changes atomic.Int64
	pages   *ttlcache.Cache[page, []store.Product]
	found   *ttlcache.Cache[foundPage, []store.Product]
	flights singleflight.Group
}

// foundPage is a page of a filtered or sorted list, as page is one of the plain list.
type foundPage struct {
	changes int64
	query   store.ProductQuery
}

// NewListing makes the listing.
func NewListing(products Products) *Listing {
	return &Listing{Products: products, pages: ttlcache.New(
		ttlcache.WithTTL[page, []store.Product](listingTTL), ttlcache.WithCapacity[page, []store.Product](maxPages),
		ttlcache.WithDisableTouchOnHit[page, []store.Product](),
	), found: ttlcache.New(
		ttlcache.WithTTL[foundPage, []store.Product](listingTTL), ttlcache.WithCapacity[foundPage, []store.Product](maxPages),
		ttlcache.WithDisableTouchOnHit[foundPage, []store.Product](),
	)}
}

// List returns up to limit products that are sold, with SKUs after the given one, in the order of their SKUs. The caller must not change
// them. Their Stock is as old as the page.
func (l *Listing) List(ctx context.Context, after order.SKU, limit int) ([]store.Product, error) {
	p := page{l.changes.Load(), after, limit}
	if item := l.pages.Get(p); item != nil {
		return item.Value(), nil
	}
	found, err, _ := l.flights.Do(fmt.Sprintf("%d %d %s", p.changes, limit, after), func() (any, error) {
		// The query serves many callers, so it does not end with the context of the first one.
		products, err := l.Products.List(context.WithoutCancel(ctx), after, limit)
		if err == nil {
			l.pages.Set(p, products, ttlcache.DefaultTTL)
		}
		return products, err
	})
	if err != nil {
		return nil, err
	}
	return found.([]store.Product), nil //nolint:forcetypeassert,errcheck // The flight returned it.
}

// Find is Products.Find. Pages of categories and sorted lists are cached as those of List are, because all visitors look at the same few; the
// texts of searches are too many.
func (l *Listing) Find(ctx context.Context, q store.ProductQuery) ([]store.Product, error) {
	if q.Text != "" || q.Archived {
		return l.Products.Find(ctx, q)
	}
	p := foundPage{l.changes.Load(), q}
	if item := l.found.Get(p); item != nil {
		return item.Value(), nil
	}
	found, err, _ := l.flights.Do(fmt.Sprintf("%+v", p), func() (any, error) {
		products, err := l.Products.Find(context.WithoutCancel(ctx), q)
		if err == nil {
			l.found.Set(p, products, ttlcache.DefaultTTL)
		}
		return products, err
	})
	if err != nil {
		return nil, err
	}
	return found.([]store.Product), nil //nolint:forcetypeassert,errcheck // The flight returned it.
}

// Create adds a product, and drops the pages.
func (l *Listing) Create(ctx context.Context, p store.Product, actor string) error {
	defer l.changes.Add(1)
	return l.Products.Create(ctx, p, actor)
}

// CreateAll adds products, and drops the pages.
func (l *Listing) CreateAll(ctx context.Context, products []store.Product, actor string) error {
	defer l.changes.Add(1)
	return l.Products.CreateAll(ctx, products, actor)
}

// Update changes a product, and drops the pages.
func (l *Listing) Update(ctx context.Context, p store.Product, fields []store.ProductField) error {
	defer l.changes.Add(1)
	return l.Products.Update(ctx, p, fields)
}
