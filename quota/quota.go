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
	totals, err := c.Add(ctx, []Amount{{Key: key, N: 1}}, window)
	if err != nil {
		return 0, 0, err
	}
	return totals[0].N, totals[0].Left, nil
}

// Amount is a number of events of a key.
type Amount struct {
	Key string
	N   int64
}

// Total is how many events a key has in its window, and how much of the window is left.
type Total struct {
	N    int64
	Left time.Duration
}

// Add adds the amounts in one round trip, and returns the totals of their keys, or order.ErrUnavailable if Redis is: then some may be added.
func (c *Counters) Add(ctx context.Context, amounts []Amount, window time.Duration) (totals []Total, err error) {
	calls := make([]rueidis.LuaExec, len(amounts))
	for i, a := range amounts {
		calls[i] = rueidis.LuaExec{
			Keys: []string{"{" + c.namespace + ":quota:" + a.Key + "}"},
			Args: []string{strconv.FormatInt(window.Milliseconds(), 10), strconv.FormatInt(a.N, 10)},
		}
	}
	err = breaker.DoDetached(ctx, c.breaker, &c.timeout, timeout, func(ctx context.Context) error {
		totals, err = c.run(ctx, calls)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count events of %d keys: %w: %w", len(amounts), order.ErrUnavailable, err)
	}
	return totals, nil
}

// run runs the script for each call. Several are pipelined, which loads the script first.
func (c *Counters) run(ctx context.Context, calls []rueidis.LuaExec) ([]Total, error) {
	var results []rueidis.RedisResult
	if len(calls) == 1 {
		results = []rueidis.RedisResult{c.count.Exec(ctx, c.client, calls[0].Keys, calls[0].Args)}
	} else {
		results = c.count.ExecMulti(ctx, c.client, calls...)
	}
	totals := make([]Total, len(results))
	for i, r := range results {
		values, err := r.AsIntSlice()
		if err != nil {
			return nil, err
		}
		if len(values) != 2 {
			return nil, fmt.Errorf("the script returned %d values; want 2", len(values))
		}
		totals[i] = Total{N: values[0], Left: time.Duration(values[1]) * time.Millisecond}
	}
	return totals, nil
}
