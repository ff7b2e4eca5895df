package load

import (
	"context"
	"fmt"
	"sync"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// settleInterval is the time between two reads of the lists of buyers with unfinished orders.
const settleInterval = 500 * time.Millisecond

// shopOrders is the shop's data about the orders after the load.
type shopOrders struct {
	mu sync.Mutex
	// unexpected are orders, by buyer, that were not acknowledged to the client.
	unexpected map[int32]map[string]*spillwayv1.Order
	// unread are the buyers with a failed last read, and its error.
	unread map[int32]error
}

// settle reads the orders of every buyer until all are final, for at most SettleWait.
func (r *run) settle(ctx context.Context, progress *Progress) *shopOrders {
	b := &shopOrders{unexpected: make(map[int32]map[string]*spillwayv1.Order), unread: make(map[int32]error)}
	deadline := time.Now().Add(r.cfg.SettleWait)
	stop := progress.every(r.settled)
	defer stop()
	for todo := r.record.ofBuyers(); len(todo) > 0; {
		r.readAll(ctx, b, todo)
		r.record.mu.Lock()
		for who, ids := range todo {
			if b.unread[who] == nil && r.record.ended(ids) {
				delete(todo, who)
			}
		}
		r.record.mu.Unlock()
		if len(todo) == 0 || time.Now().Add(settleInterval).After(deadline) || !pause(ctx, settleInterval) {
			break
		}
	}
	return b
}

// ended reports whether all of the orders are in a final state.
func (r *record) ended(ids []string) bool {
	for _, id := range ids {
		e := r.orders[id]
		final := e.state == spillwayv1.OrderState_ORDER_STATE_SHIPPED || e.state == spillwayv1.OrderState_ORDER_STATE_CANCELLED
		if !final && e.outcome != Declined {
			return false
		}
	}
	return true
}

// settled describes the progress of the settling.
func (r *run) settled() string {
	r.record.mu.Lock()
	defer r.record.mu.Unlock()
	var shipped, all int
	for _, e := range r.record.orders {
		if e.outcome == Declined {
			continue
		}
		if all++; e.state == spillwayv1.OrderState_ORDER_STATE_SHIPPED {
			shipped++
		}
	}
	return fmt.Sprintf("settling: %d of %d orders are SHIPPED", shipped, all)
}

// readAll reads the lists of the buyers, and the orders that are in none of them.
func (r *run) readAll(ctx context.Context, b *shopOrders, todo map[int32][]string) {
	who := make([]int32, 0, len(todo))
	for w := range todo {
		who = append(who, w)
	}
	// A failed read is recorded with its buyer and retried; it does not stop the others.
	_ = parallel(ctx, len(who), func(ctx context.Context, i int) error {
		err := r.read(ctx, b, who[i], todo[who[i]])
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.unread[who[i]] = err; err == nil {
			delete(b.unread, who[i])
		}
		return nil
	})
}

func (r *run) read(ctx context.Context, b *shopOrders, who int32, ids []string) error {
	token := r.buyers.all[who].token
	for page := ""; ; {
		orders, next, err := r.shop.Orders(ctx, token, page)
		if err != nil {
			return err
		}
		for _, o := range orders {
			r.see(b, who, o, true)
		}
		if page = next; page == "" {
			break
		}
	}
	for _, id := range ids {
		if r.missing(id) {
			o, err := r.shop.Order(ctx, token, id)
			if err != nil && classifyError(err).code != "not_found" {
				return err
			}
			if err == nil {
				r.see(b, who, o, false)
			}
		}
	}
	return nil
}

// missing reports whether no list contained the order.
func (r *run) missing(id string) bool {
	r.record.mu.Lock()
	defer r.record.mu.Unlock()
	return !r.record.orders[id].listed
}

// see records an order as the shop returned it.
func (r *run) see(b *shopOrders, who int32, o *spillwayv1.Order, listed bool) {
	r.record.mu.Lock()
	e, known := r.record.orders[o.GetId()]
	if known {
		e.state, e.listed = o.GetState(), e.listed || listed
		if e.state == spillwayv1.OrderState_ORDER_STATE_SHIPPED {
			e.shippedAfter = o.GetUpdateTime().AsTime().Sub(o.GetCreateTime().AsTime())
		}
	}
	r.record.mu.Unlock()
	if known {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unexpected[who] == nil {
		b.unexpected[who] = make(map[string]*spillwayv1.Order)
	}
	b.unexpected[who][o.GetId()] = o
}
