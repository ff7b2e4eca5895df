package load

import (
	"context"
	"fmt"
	"sync"
)

// maxCallers is the maximum number of concurrent calls before and after the load: sessions, lists, replays.
const maxCallers = 16

// buyer is one guest session.
type buyer struct {
	index int32
	token string
	// dirty is set while the cart may contain something. Only the visit that has leased the buyer accesses it.
	dirty bool
	// currency is the chosen one, and last the order that emptied the cart, until the cart is filled again: of the scenario OnlineBoutique.
	currency, last string
}

// buyers is a pool of guest sessions.
type buyers struct {
	all []*buyer
	// idle holds the buyers that serve one visit at a time, because a visit uses the cart; nil when buyers are shared.
	idle chan *buyer
}

// startSessions starts n sessions.
func startSessions(ctx context.Context, shop Shop, operator string, n int, exclusive bool) (*buyers, error) {
	bs := &buyers{all: make([]*buyer, n)}
	err := parallel(ctx, n, func(ctx context.Context, i int) error {
		token, err := shop.Session(ctx, operator)
		if err != nil {
			return fmt.Errorf("start the session of buyer %d of %d (a shop limits those of one address: give --token of an operator, or start it "+
				"with --session-rate 0): %w", i+1, n, err)
		}
		bs.all[i] = &buyer{index: int32(i), token: token, currency: startCurrency} //nolint:gosec // At most maxBuyers.
		return nil
	})
	if err != nil {
		return nil, err
	}
	if exclusive {
		bs.idle = make(chan *buyer, n)
		for _, b := range bs.all {
			bs.idle <- b
		}
	}
	return bs, nil
}

// lease returns the buyer of a visit. There are at least as many buyers as concurrent visits.
func (bs *buyers) lease(n int) *buyer {
	if bs.idle != nil {
		return <-bs.idle
	}
	return bs.all[n%len(bs.all)]
}

// back returns a leased buyer to the pool.
func (bs *buyers) back(b *buyer) {
	if bs.idle != nil {
		bs.idle <- b
	}
}

// parallel calls do for 0 to n-1, at most maxCallers at a time, until one fails.
func parallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, maxCallers) {
		wg.Go(func() {
			for i := range next {
				if err := bounded(ctx, i, do); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}

// bounded is do with the timeout of one attempt.
func bounded(ctx context.Context, i int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return do(ctx, i)
}
