package server

import (
	"context"
	"net/netip"
	"sync"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/order"
)

const (
	// maxCancelWaits bounds the calls that wait at once: for a row, which each polls in SQL 20 times a second, or for another call that cancels the
	// same order. A call beyond it ends with a retry hint.
	maxCancelWaits = 64
	// maxCustomerCancelWaits is how many of them one customer may have: a person who cancels an order, and retries.
	maxCustomerCancelWaits = 4
	// maxAddressCancelWaits is how many of them one client address may have, whatever the number of its sessions.
	maxAddressCancelWaits = maxCancelWaits / 4
)

// cancelWaits counts the calls that wait for a cancellation: all of them, those of each customer, and those of each client address. A customer's
// orders that the drain has not written yet may be hundreds, and one who cancels all of them must leave waits to others. Operators and addresses
// that are not known count among all only. The zero value counts none. It is safe for concurrent use.
type cancelWaits struct {
	mu        sync.Mutex
	all       int
	customers map[order.CustomerID]int
	addresses map[netip.Addr]int
}

// enter counts a call until leave. It returns errNotCancelledYet if too many calls wait, and an order.LimitError if too many of the caller do.
func (w *cancelWaits) enter(ctx context.Context, id order.ID) (leave func(), err error) {
	caller, _ := auth.From(ctx)
	who, addr := caller.Customer, addressFrom(ctx)
	bounded := who != "" && !caller.Has(auth.Operator)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.all >= maxCancelWaits:
		return nil, errNotCancelledYet(id)
	case bounded && w.customers[who] >= maxCustomerCancelWaits:
		return nil, &order.LimitError{Limit: order.LimitCustomerCancels, Maximum: maxCustomerCancelWaits, After: durableRetryDelay}
	case bounded && addr.IsValid() && w.addresses[addr] >= maxAddressCancelWaits:
		return nil, &order.LimitError{Limit: order.LimitAddressCancels, Maximum: maxAddressCancelWaits, After: durableRetryDelay}
	}
	w.all++
	if !bounded {
		return func() { w.leave("", netip.Addr{}) }, nil
	}
	if w.customers == nil {
		w.customers, w.addresses = make(map[order.CustomerID]int), make(map[netip.Addr]int)
	}
	w.customers[who]++
	w.addresses[addr]++
	return func() { w.leave(who, addr) }, nil
}

// leave ends the counting of a call. An operator's call has no customer.
func (w *cancelWaits) leave(who order.CustomerID, addr netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all--
	if who == "" {
		return
	}
	decrement(w.customers, who)
	decrement(w.addresses, addr)
}
