package cart

import (
	"context"
	"crypto/rand"
	_ "embed" // The scripts are part of the program.
	"slices"
	"strconv"
	"time"

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

const (
	// mergeMoves is how many moves one Merge makes: that of an earlier one that failed half-way, and its own.
	mergeMoves = 2
	// guestLines bounds the lines of a guest's cart when what did not fit comes back: those, and what the guest has put in meanwhile.
	guestLines = 2 * order.MaxLines
	// movedTTL is how long a move that has ended is remembered, for a Merge that has taken it and not put it yet.
	movedTTL = time.Hour
)

// Merge moves the items of a guest's cart into the customer's. What does not fit, because of the bounds of a cart, stays in the guest's and is returned.
// Nothing is lost or added twice if a Merge fails half-way, or if several run at once: the next one completes it.
//
// The two carts may be in different slots of a Redis Cluster, so there is no script for both. The items leave the guest's cart under a name (take), enter the
// customer's once for each name (put), and are forgotten (moved). The keys are {NAMESPACE:cart:GUEST}:moving, a hash, and
// {NAMESPACE:cart:CUSTOMER}:moved:NAME, a string; each has the TTL of a cart, and the second is set later, and is kept for movedTTL once the first is gone.
func (c *Carts) Merge(ctx context.Context, guest, customer order.CustomerID) (Cart, []order.Demand, error) {
	var left []order.Demand
	for range mergeMoves {
		name := rand.Text()
		move, items, err := c.take(ctx, guest, name)
		if err != nil || move == "" {
			return c.merged(ctx, customer, nil, err)
		}
		left, err = c.put(ctx, customer, move, items)
		if err == nil {
			err = c.endMove(ctx, guest, customer, move, left)
		}
		if err != nil || move == name {
			return c.merged(ctx, customer, left, err)
		}
	}
	return c.merged(ctx, customer, left, nil)
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

func (c *Carts) movedKey(customer order.CustomerID, move string) string {
	return c.key(customer) + ":moved:" + move
}

// take returns the name of the move and its items; no name if there is nothing to move. The name is another one if a move is under way.
func (c *Carts) take(ctx context.Context, guest order.CustomerID, name string) (move string, items []order.Demand, err error) {
	r, err := c.exec(ctx, c.merge.take, []string{c.key(guest), c.movingKey(guest)}, []string{name, ttlSeconds})
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
	r, err := c.exec(ctx, c.merge.put, []string{c.key(customer), c.movedKey(customer, move)}, append(args, pairs(items)...))
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

// endMove ends the move. What is left of it in Redis expires later if the last command fails, which is no failure of the move.
func (c *Carts) endMove(ctx context.Context, guest, customer order.CustomerID, move string, left []order.Demand) error {
	args := []string{move, strconv.Itoa(order.MaxQuantity), strconv.Itoa(guestLines), ttlSeconds}
	r, err := c.exec(ctx, c.merge.moved, []string{c.key(guest), c.movingKey(guest)}, append(args, pairs(left)...))
	if err != nil {
		return err
	}
	if err := r.Error(); err != nil {
		return unavailable(err)
	}
	_ = c.guard(ctx, func(ctx context.Context) error {
		return c.client.Do(ctx, c.client.B().Expire().Key(c.movedKey(customer, move)).Seconds(int64(movedTTL/time.Second)).Build()).Error()
	})
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
