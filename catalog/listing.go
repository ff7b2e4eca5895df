package catalog

import (
	"context"

	"github.com/maypok86/otter/v2"

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
	Update(ctx context.Context, p store.Product, fields []store.ProductField) error
	List(ctx context.Context, after order.SKU, limit int) ([]store.Product, error)
	ListAll(ctx context.Context, after order.SKU, limit int) ([]store.Product, error)
	Search(ctx context.Context, text string, after order.SKU, limit int) ([]store.Product, error)
}

// page identifies a page of products.
type page struct {
	after order.SKU
	limit int
}

// Listing reads pages of the products that are sold through a cache, and makes one query of a page for all concurrent readers. A change
// through it is in the next page; one of another process at most listingTTL later. It is safe for concurrent use.
type Listing struct {
	Products

	pages *otter.Cache[page, []store.Product]
}

// NewListing makes the listing. Close ends its goroutine.
func NewListing(products Products) *Listing {
	return &Listing{Products: products, pages: otter.Must(&otter.Options[page, []store.Product]{
		MaximumSize: maxPages, ExpiryCalculator: otter.ExpiryWriting[page, []store.Product](listingTTL),
	})}
}

// List returns up to limit products that are sold, with SKUs after the given one, in the order of their SKUs. The caller must not change
// them. Their Stock is as old as the page.
func (l *Listing) List(ctx context.Context, after order.SKU, limit int) ([]store.Product, error) {
	return l.pages.Get(ctx, page{after, limit}, otter.LoaderFunc[page, []store.Product](
		func(ctx context.Context, p page) ([]store.Product, error) {
			// The query serves many callers, so it does not end with the context of the first one.
			return l.Products.List(context.WithoutCancel(ctx), p.after, p.limit)
		}))
}

// Create adds a product, and drops the pages.
func (l *Listing) Create(ctx context.Context, p store.Product, actor string) error {
	defer l.pages.InvalidateAll()
	return l.Products.Create(ctx, p, actor)
}

// Update changes a product, and drops the pages.
func (l *Listing) Update(ctx context.Context, p store.Product, fields []store.ProductField) error {
	defer l.pages.InvalidateAll()
	return l.Products.Update(ctx, p, fields)
}

// Close ends the cache's goroutine.
func (l *Listing) Close() error {
	l.pages.StopAllGoroutines()
	return nil
}
