package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	"github.com/redis/rueidis"
	"golang.org/x/sync/singleflight"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

const (
	// sharedTTL and sharedJitter define the TTL of a product in Redis: the jitter keeps products that were read
	// together from expiring together.
	sharedTTL    = 10 * time.Minute
	sharedJitter = time.Minute
	// localTTL is the TTL of a product in this process, so that a hot product costs the hot path no round trip. After a
	// change of price the old one is used for at most that long.
	localTTL = 2 * time.Second
	// maxLocal is the maximum number of products in this process; beyond it the local cache is cleared.
	maxLocal = 10_000
	// maxReplaceTries is the maximum number of reads of a row that is being changed concurrently.
	maxReplaceTries = 5
	// retryAfter is the retry hint for an operator when a change could not be written to Redis.
	retryAfter = time.Second
	// redisTimeout is the maximum duration of one call; SQL has the product as well, only slower.
	redisTimeout = 500 * time.Millisecond
)

// Source reads products, from SQL.
type Source interface {
	Get(ctx context.Context, sku order.SKU) (store.Product, error)
}

// Cache reads products through this process' memory, then Redis, then SQL. Concurrent reads of one missing product make
// one query. It is safe for concurrent use.
//
// A reader writes back by SET NX, and Replaced by a plain SET of the row after the commit. So a slow reader with the
// old row cannot overwrite the new one while that is cached. Of two concurrent changes, each reads the row again after
// its SET: the later SET sees both commits.
type Cache struct {
	namespace string
	client    rueidis.Client
	breaker   breaker.Breaker
	source    Source
	flights   singleflight.Group
	log       *slog.Logger
	now       func() time.Time
	timeout   breaker.SharedTimeout

	mu    sync.RWMutex
	local map[order.SKU]localProduct
}

type localProduct struct {
	product store.Product
	until   time.Time
}

// NewCache returns a cache. Its keys are NAMESPACE:product:SKU, strings of JSON.
func NewCache(namespace string, client rueidis.Client, b breaker.Breaker, source Source, log *slog.Logger) *Cache {
	return &Cache{
		namespace: namespace, client: client, breaker: b, source: source, log: log, now: time.Now,
		local: make(map[order.SKU]localProduct),
	}
}

func (c *Cache) key(sku order.SKU) string { return c.namespace + ":product:" + string(sku) }

// Get returns a product, or order.ErrNotFound. Its Stock is as old as the cache.
func (c *Cache) Get(ctx context.Context, sku order.SKU) (store.Product, error) {
	return c.get(ctx, sku, &c.flights, c.source)
}

// Browsing is the cache for readers who do not order: it reads missing products from a source of its own. A flood of
// requests for products that do not exist, which are never cached, therefore takes no connection from orders.
type Browsing struct {
	*Cache
	own     Source
	flights singleflight.Group
}

// Browsing returns a view of the cache that reads from the source.
func (c *Cache) Browsing(own Source) *Browsing { return &Browsing{Cache: c, own: own} }

// Get is Cache.Get with the view's source.
func (b *Browsing) Get(ctx context.Context, sku order.SKU) (store.Product, error) {
	return b.get(ctx, sku, &b.flights, b.own)
}

func (c *Cache) get(ctx context.Context, sku order.SKU, flights *singleflight.Group, source Source) (store.Product, error) {
	if p, ok := c.remembered(sku); ok {
		return p, nil
	}
	found, err, _ := flights.Do(string(sku), func() (any, error) {
		// The flight serves many callers, so it does not end with the context of the first one.
		return c.fetch(context.WithoutCancel(ctx), sku, source)
	})
	if err != nil {
		return store.Product{}, err
	}
	return found.(store.Product), nil //nolint:forcetypeassert,errcheck // fetch returned it.
}

func (c *Cache) remembered(sku order.SKU) (store.Product, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p, ok := c.local[sku]
	return p.product, ok && c.now().Before(p.until)
}

func (c *Cache) remember(p store.Product) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.local) >= maxLocal {
		clear(c.local)
	}
	c.local[p.SKU] = localProduct{product: p, until: c.now().Add(localTTL)}
}

func (c *Cache) fetch(ctx context.Context, sku order.SKU, source Source) (store.Product, error) {
	p, err := c.shared(ctx, sku)
	if err != nil {
		if p, err = source.Get(ctx, sku); err != nil {
			return store.Product{}, err
		}
		if err := c.write(ctx, p, true); err != nil {
			c.log.WarnContext(ctx, "a product was not cached", "sku", sku, "error", err)
		}
	}
	c.remember(p)
	return p, nil
}

var errMiss = errors.New("not in Redis")

// shared reads a product from Redis. After any error the caller reads SQL.
func (c *Cache) shared(ctx context.Context, sku order.SKU) (store.Product, error) {
	var p store.Product
	r, err := c.do(ctx, c.client.B().Get().Key(c.key(sku)).Build())
	if err != nil {
		return p, err
	}
	text, err := r.AsBytes()
	if rueidis.IsRedisNil(err) {
		return p, errMiss
	}
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p); err != nil || p.SKU != sku {
		return p, fmt.Errorf("product %s in Redis cannot be read: %w", sku, errMiss)
	}
	return p, nil
}

// write puts a product into Redis; with onlyNew it keeps an existing one.
func (c *Cache) write(ctx context.Context, p store.Product, onlyNew bool) error {
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("product %s: %w", p.SKU, err)
	}
	ttl := sharedTTL + rand.N(sharedJitter) //nolint:gosec // Jitter needs no secrecy.
	set := c.client.B().Set().Key(c.key(p.SKU)).Value(rueidis.BinaryString(text))
	var cmd rueidis.Completed
	if onlyNew {
		cmd = set.Nx().Px(ttl).Build()
	} else {
		cmd = set.Px(ttl).Build()
	}
	r, err := c.do(ctx, cmd)
	if err == nil {
		err = r.Error()
	}
	if rueidis.IsRedisNil(err) { // NX, and there was one
		return nil
	}
	return err
}

// do runs one command under the breaker.
func (c *Cache) do(ctx context.Context, cmd rueidis.Completed) (r rueidis.RedisResult, err error) {
	err = breaker.DoDetached(ctx, c.breaker, &c.timeout, redisTimeout, func(ctx context.Context) error {
		r = c.client.Do(ctx, cmd)
		return r.NonRedisError()
	})
	return r, err
}

// Replaced updates every cache with the current row of a product that was changed in SQL. It fails with
// order.ErrUnavailable when Redis cannot be written: the old row may be served until it expires, so send the change
// again.
func (c *Cache) Replaced(ctx context.Context, sku order.SKU) error {
	var written store.Product
	for range maxReplaceTries {
		p, err := c.source.Get(ctx, sku)
		if err != nil {
			return err
		}
		p.Stock = 0 // It changes all the time, and is not read from here.
		if reflect.DeepEqual(p, written) {
			break
		}
		if err := c.write(ctx, p, false); err != nil {
			return &order.RetryError{After: retryAfter, Err: fmt.Errorf("product %s is changed, but its cache is not: %w: %w", sku, order.ErrUnavailable, err)}
		}
		written = p
	}
	c.remember(written)
	return nil
}
