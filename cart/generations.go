package cart

import (
	"context"
	"crypto/rand"
	_ "embed" // The scripts are part of the program.
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
)

const (
	// attemptsTTL is how long an order keeps other generations of its cart from being ordered if nobody ends it. It is longer than a checkout takes,
	// which finishes within 15 s of its reservation.
	attemptsTTL = 30 * time.Second
	// maxAttempts bounds the attempts of one cart that are counted, of 30 bytes each: a person presses the button a few times.
	maxAttempts = 50
)

// Attempt is one attempt to order a cart. Its Generation is that of the cart, and common to all attempts of the same content.
type Attempt struct{ Generation, name string }

// Outcome is how an order of a cart ended.
type Outcome string

const (
	// Accepted means that the order exists: the cart of its generation is emptied.
	Accepted Outcome = "accepted"
	// Refused means that there is an order and that it will never be paid: the cart gets another generation, so that it can be ordered again.
	Refused Outcome = "refused"
	// Released means that this attempt made no order. The cart stays as it is; other attempts may go on.
	Released Outcome = "released"
)

//go:embed lua/begin_order.lua
var beginOrderLua string

//go:embed lua/end_order.lua
var endOrderLua string

// Tracked is the carts of customers who send no idempotency keys. Each cart has a generation, a random name that changes with each addition to it, so that
// it can stand for the key: a generation is ordered once. A generation has the TTL of a cart and outlives the items, so that the retry of an order
// that emptied the cart finds it. Tracked is safe for concurrent use.
type Tracked struct {
	*Carts
	begin, end *rueidis.Lua
}

// Tracked returns the carts with generations. The keys are {NAMESPACE:cart:CUSTOMER}:generation, a string, and {NAMESPACE:cart:CUSTOMER}:attempts, a hash. All
// changes of a customer's cart must be made through it.
func (c *Carts) Tracked() *Tracked {
	return &Tracked{Carts: c, begin: rueidis.NewLuaScriptRetryable(beginOrderLua), end: rueidis.NewLuaScriptRetryable(endOrderLua)}
}

func (t *Tracked) generationKey(customer order.CustomerID) string {
	return t.key(customer) + ":generation"
}

func (t *Tracked) attemptsKey(customer order.CustomerID) string { return t.key(customer) + ":attempts" }

// Add is Carts.Add, and begins another generation.
func (t *Tracked) Add(ctx context.Context, customer order.CustomerID, d order.Demand) (Cart, error) {
	return t.change(ctx, customer, d, "add", t.generationKey(customer))
}

// Set is Carts.Set, and begins another generation.
func (t *Tracked) Set(ctx context.Context, customer order.CustomerID, d order.Demand) (Cart, error) {
	return t.change(ctx, customer, d, "set", t.generationKey(customer))
}

// BeginOrder begins an attempt to order the customer's cart as it is. It lasts until EndOrder, or until attemptsTTL has passed; any number may last at once.
// BeginOrder returns order.ErrRejected with a retry hint while another generation of the cart is being ordered.
func (t *Tracked) BeginOrder(ctx context.Context, customer order.CustomerID) (Attempt, error) {
	name := rand.Text()
	r, err := t.exec(ctx, t.begin, []string{t.generationKey(customer), t.attemptsKey(customer)}, []string{
		rand.Text(), ttlSeconds, name, strconv.Itoa(maxAttempts), strconv.Itoa(int(attemptsTTL.Seconds())),
	})
	if err != nil {
		return Attempt{}, err
	}
	reply, err := r.ToArray()
	if err != nil || len(reply) != 2 {
		return Attempt{}, unavailable(err)
	}
	generation, err1 := reply[0].ToString()
	free, err2 := reply[1].AsInt64()
	if err1 != nil || err2 != nil {
		return Attempt{}, unavailable(err1)
	}
	if free == 0 {
		return Attempt{}, &order.RetryError{After: retryAfter, Err: order.Refuse(order.ErrRejected, order.ReasonRejected,
			"an order of the cart as it was before is still being placed; try again in a moment")}
	}
	return Attempt{generation, name}, nil
}

// EndOrder ends an attempt, which may end any number of times. Accepted and Refused end all attempts of its generation.
func (t *Tracked) EndOrder(ctx context.Context, customer order.CustomerID, a Attempt, outcome Outcome) error {
	r, err := t.exec(ctx, t.end, []string{t.key(customer), t.generationKey(customer), t.attemptsKey(customer)}, []string{
		a.Generation, a.name, string(outcome), rand.Text(), ttlSeconds,
	})
	if err == nil {
		err = r.Error()
	}
	return err
}
