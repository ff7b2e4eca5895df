package cart

import (
	"context"
	"crypto/rand"
	_ "embed" // The scripts are part of the program.
	"slices"
	"strconv"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/order"
)

//go:embed lua/take.lua
var takeLua string

//go:embed lua/put.lua
var putLua string

//go:embed lua/moved.lua
var movedLua string

// merging is the scripts of a merge. All are idempotent.
type merging struct{ take, put, moved *rueidis.Lua }

func newMerging() merging {
	return merging{
		take: rueidis.NewLuaScriptRetryable(takeLua), put: rueidis.NewLuaScriptRetryable(putLua), moved: rueidis.NewLuaScriptRetryable(movedLua),
	}
}

// Merge moves the items of a guest's cart into the customer's. What does not fit, because of the bounds of a cart, stays in the guest's and is returned.
// Nothing is lost or added twice if a Merge fails half-way, or if several run at once: the next one completes it, or returns the same.
//
// The two carts may be in different slots of a Redis Cluster, so there is no script for both. The items leave the guest's cart under a name (take), enter the
// customer's once for each name (put), and are forgotten (moved). The keys are {NAMESPACE:cart:GUEST}:moving, a hash, and
// {NAMESPACE:cart:CUSTOMER}:moved:NAME, a string; each has the TTL of a cart, and the second is set later.
func (c *Carts) Merge(ctx context.Context, guest, customer order.CustomerID) (Cart, []order.Demand, error) {
	move, items, err := c.take(ctx, guest)
	if err != nil || move == "" {
		return c.merged(ctx, customer, nil, err)
	}
	left, err := c.put(ctx, customer, move, items)
	if err == nil {
		err = c.endMove(ctx, guest, move, left)
	}
	return c.merged(ctx, customer, left, err)
}

// merged is the result of a Merge: the customer's cart, and what was left out.
func (c *Carts) merged(ctx context.Context, customer order.CustomerID, left []order.Demand, err error) (Cart, []order.Demand, error) {
	if err != nil {
		return Cart{}, nil, err
	}
	found, err := c.Get(ctx, customer)
	return found, left, err
}

func (c *Carts) movingKey(guest order.CustomerID) string { return c.key(guest) + ":moving" }

// take returns the name of the move and its items; no name if there is nothing to move.
func (c *Carts) take(ctx context.Context, guest order.CustomerID) (move string, items []order.Demand, err error) {
	r, err := c.exec(ctx, c.merge.take, []string{c.key(guest), c.movingKey(guest)}, []string{rand.Text(), ttlSeconds})
	if err != nil {
		return "", nil, err
	}
	reply, err := r.AsStrSlice()
	if err != nil {
		return "", nil, unavailable(err)
	}
	if len(reply) == 0 {
		return "", nil, nil
	}
	fields := make(map[string]string, len(reply)/2) //nolint:mnd // Pairs.
	for pair := range slices.Chunk(reply[1:], 2) {
		fields[pair[0]] = pair[1]
	}
	items, err = parse(fields)
	return reply[0], items, err
}

// put returns what did not fit.
func (c *Carts) put(ctx context.Context, customer order.CustomerID, move string, items []order.Demand) ([]order.Demand, error) {
	args := []string{strconv.Itoa(order.MaxQuantity), strconv.Itoa(order.MaxLines), ttlSeconds}
	r, err := c.exec(ctx, c.merge.put, []string{c.key(customer), c.key(customer) + ":moved:" + move}, append(args, pairs(items)...))
	if err != nil {
		return nil, err
	}
	left, err := r.ToString()
	if err != nil {
		return nil, unavailable(err)
	}
	deltas, err := order.ParseDeltas(left)
	out := make([]order.Demand, len(deltas))
	for i, d := range deltas {
		out[i] = order.Demand{SKU: d.SKU, Quantity: int(d.Units)}
	}
	return out, err
}

func (c *Carts) endMove(ctx context.Context, guest order.CustomerID, move string, left []order.Demand) error {
	args := []string{move, strconv.Itoa(order.MaxQuantity), ttlSeconds}
	r, err := c.exec(ctx, c.merge.moved, []string{c.key(guest), c.movingKey(guest)}, append(args, pairs(left)...))
	if err != nil {
		return err
	}
	if err := r.Error(); err != nil {
		return unavailable(err)
	}
	return nil
}

// pairs is the items as arguments of a script: SKU, units, and so on.
func pairs(items []order.Demand) []string {
	args := make([]string, 0, 2*len(items)) //nolint:mnd // Pairs.
	for _, d := range items {
		args = append(args, string(d.SKU), strconv.Itoa(d.Quantity))
	}
	return args
}
