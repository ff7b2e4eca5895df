package server

import (
	"sync"

	"github.com/spillway/spillway/order"
)

// orderCalls counts the calls of one kind that are in progress for each order. The zero value counts none. It is safe for concurrent use.
type orderCalls struct {
	mu    sync.Mutex
	calls map[order.ID]int
}

// enter counts a call, and reports whether another one for the order is in progress. The call ends with leave.
func (c *orderCalls) enter(id order.ID) (joins bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = make(map[order.ID]int)
	}
	c.calls[id]++
	return c.calls[id] > 1
}

// leave ends the counting of a call.
func (c *orderCalls) leave(id order.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	decrement(c.calls, id)
}
