// Package quota counts events in windows of time, for limits that all processes of a shop share through Redis.
package quota

import (
	"context"
	_ "embed" // The script is part of the program.
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/order"
)

// timeout is the maximum duration of one call.
const timeout = time.Second

//go:embed lua/count.lua
var countLua string

// Counters are the counters of all keys. They are safe for concurrent use.
type Counters struct {
	namespace string
	client    rueidis.Client
	breaker   breaker.Breaker
	count     *rueidis.Lua
	timeout   breaker.SharedTimeout
}

// New returns the counters. Keys are {NAMESPACE:quota:KEY}, each an integer that expires at the end of its window.
func New(namespace string, client rueidis.Client, b breaker.Breaker) *Counters {
	// Repeating a count would count twice, so it is not retryable.
	return &Counters{namespace: namespace, client: client, breaker: b, count: rueidis.NewLuaScript(countLua)}
}

// Count adds one event to the key. The first one begins a window. Count returns the events in the window and how much of it is left, or
// order.ErrUnavailable if Redis is.
func (c *Counters) Count(ctx context.Context, key string, window time.Duration) (n int64, left time.Duration, err error) {
	var values []int64
	err = breaker.DoDetached(ctx, c.breaker, &c.timeout, timeout, func(ctx context.Context) error {
		r := c.count.Exec(ctx, c.client, []string{"{" + c.namespace + ":quota:" + key + "}"}, []string{strconv.FormatInt(window.Milliseconds(), 10)})
		values, err = r.AsIntSlice()
		return err
	})
	if err != nil || len(values) != 2 {
		return 0, 0, fmt.Errorf("count %s: %w: %w", key, order.ErrUnavailable, err)
	}
	return values[0], time.Duration(values[1]) * time.Millisecond, nil
}
