// Package cart keeps carts in Redis: the products that customers intend to buy. A cart reserves no stock, and expires
// some time after its last change.
package cart

import (
	"context"
	"crypto/rand"
	_ "embed" // The scripts are part of the program.
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

const (
	// TTL is the lifetime of a cart after its last change.
	TTL = 7 * 24 * time.Hour
	// retryAfter is the retry hint while Redis is unavailable.
	retryAfter = time.Second
	// timeout is the maximum duration of one call.
	timeout = time.Second
)

// Cart is the items of a customer, sorted by SKU.
type Cart struct {
	Items []order.Demand
	// Expires is the time of its expiry; zero for an empty cart.
	Expires time.Time
}

//go:embed lua/set.lua
var setLua string

//go:embed lua/empty_if.lua
var emptyIfLua string

// Carts is the repository of all carts. It is safe for concurrent use.
type Carts struct {
	namespace string
	client    rueidis.Client
	breaker   breaker.Breaker
	set       *rueidis.Lua
	emptyIf   *rueidis.Lua
	merge     merging
	now       func() time.Time
	timeout   breaker.SharedTimeout
}

// New returns the repository. Keys are {NAMESPACE:cart:CUSTOMER}, each a hash SKU → quantity.
func New(namespace string, client rueidis.Client, b breaker.Breaker) *Carts {
	return &Carts{
		namespace: namespace, client: client, breaker: b, now: time.Now,
		// Repeating an addition would double it, so set is not retryable: an unknown outcome is returned to the caller.
		set: rueidis.NewLuaScript(setLua), emptyIf: rueidis.NewLuaScriptRetryable(emptyIfLua), merge: newMerging(),
	}
}

func (c *Carts) key(customer order.CustomerID) string {
	return "{" + c.namespace + ":cart:" + string(customer) + "}"
}

// Get returns the customer's cart, which is empty if there is none.
func (c *Carts) Get(ctx context.Context, customer order.CustomerID) (Cart, error) {
	var replies []rueidis.RedisResult
	if err := c.guard(ctx, func(ctx context.Context) error {
		replies = c.client.DoMulti(ctx,
			c.client.B().Hgetall().Key(c.key(customer)).Build(), c.client.B().Pttl().Key(c.key(customer)).Build())
		return errors.Join(replies[0].NonRedisError(), replies[1].NonRedisError())
	}); err != nil {
		return Cart{}, err
	}
	fields, err1 := replies[0].AsStrMap()
	ttl, err2 := replies[1].AsInt64()
	if err := errors.Join(err1, err2); err != nil {
		return Cart{}, unavailable(err)
	}
	items, err := parse(fields)
	if err != nil {
		return Cart{}, err
	}
	cart := Cart{Items: items}
	if ttl > 0 {
		cart.Expires = c.now().Add(time.Duration(ttl) * time.Millisecond).UTC()
	}
	return cart, nil
}

// Contents returns the items of the cart.
func (c *Carts) Contents(ctx context.Context, customer order.CustomerID) ([]order.Demand, error) {
	cart, err := c.Get(ctx, customer)
	return cart.Items, err
}

func parse(fields map[string]string) ([]order.Demand, error) {
	out := make([]order.Demand, 0, len(fields))
	for sku, n := range fields {
		quantity, err := strconv.Atoi(n)
		if err != nil {
			return nil, fmt.Errorf("cart item %s: %w", sku, err)
		}
		out = append(out, order.Demand{SKU: order.SKU(sku), Quantity: quantity})
	}
	slices.SortFunc(out, func(a, b order.Demand) int { return strings.Compare(string(a.SKU), string(b.SKU)) })
	return out, nil
}

// Add adds units of a SKU. It fails with order.ErrInvalid when the cart is full.
func (c *Carts) Add(ctx context.Context, customer order.CustomerID, d order.Demand) (Cart, error) {
	return c.change(ctx, customer, d, "add", "")
}

// Set sets the units of a SKU; 0 removes it.
func (c *Carts) Set(ctx context.Context, customer order.CustomerID, d order.Demand) (Cart, error) {
	return c.change(ctx, customer, d, "set", "")
}

// ttlSeconds is TTL for scripts.
var ttlSeconds = strconv.FormatInt(int64(TTL/time.Second), 10)

// change changes the units of a SKU, and the value of the generation key if there is one.
func (c *Carts) change(ctx context.Context, customer order.CustomerID, d order.Demand, how, generationKey string) (Cart, error) {
	keys, generation := []string{c.key(customer)}, ""
	if generationKey != "" {
		keys, generation = append(keys, generationKey), rand.Text()
	}
	r, err := c.exec(ctx, c.set, keys, []string{
		string(d.SKU), strconv.Itoa(d.Quantity), how, strconv.Itoa(order.MaxQuantity), strconv.Itoa(order.MaxLines), ttlSeconds, generation,
	})
	if err != nil {
		return Cart{}, err
	}
	answer, err := r.ToString()
	switch {
	case err != nil:
		return Cart{}, unavailable(err)
	case answer == "QUANTITY":
		return Cart{}, order.Refuse(order.ErrInvalid, order.ReasonCartFull, "a cart holds at most %d of %s", order.MaxQuantity, d.SKU)
	case answer == "LINES":
		return Cart{}, order.Refuse(order.ErrInvalid, order.ReasonCartFull, "a cart holds at most %d products", order.MaxLines)
	}
	return c.Get(ctx, customer)
}

// Empty removes all items.
func (c *Carts) Empty(ctx context.Context, customer order.CustomerID) error {
	return c.guard(ctx, func(ctx context.Context) error {
		return c.client.Do(ctx, c.client.B().Del().Key(c.key(customer)).Build()).Error()
	})
}

// EmptyIf empties the cart if it still contains exactly these items, so that later additions are kept.
func (c *Carts) EmptyIf(ctx context.Context, customer order.CustomerID, items []order.Demand) error {
	r, err := c.exec(ctx, c.emptyIf, []string{c.key(customer)}, pairs(items))
	if err == nil {
		err = r.Error()
	}
	return err
}

// exec runs a script on the keys of one customer.
func (c *Carts) exec(ctx context.Context, script *rueidis.Lua, keys, args []string) (r rueidis.RedisResult, err error) {
	err = c.guard(ctx, func(ctx context.Context) error {
		r = script.Exec(ctx, c.client, keys, args)
		return r.NonRedisError()
	})
	return r, err
}

// guard runs f under the breaker. f returns whether Redis worked, not the result of the command.
func (c *Carts) guard(ctx context.Context, f func(ctx context.Context) error) error {
	err := breaker.DoDetached(ctx, c.breaker, &c.timeout, timeout, f)
	var retry *order.RetryError
	if err == nil || errors.As(err, &retry) || errors.Is(err, breaker.ErrCallerLeft) {
		return err
	}
	return unavailable(err)
}

func unavailable(err error) error {
	return &order.RetryError{After: retryAfter, Err: fmt.Errorf("redis: %w: %w", order.ErrUnavailable, err)}
}
