package load

import (
	"context"
	"fmt"
	"sync"
)

// callersMax bounds the calls at once before and after the load: sessions, lists, second looks.
const callersMax = 16

// buyer is one guest.
type buyer struct {
	index int32
	token string
	// dirty says that the cart may hold something. Only the visit that has leased the buyer touches it.
	dirty bool
}

// buyers lends out guests.
type buyers struct {
	all []*buyer
	// idle are those of whom each serves one visit at a time, because a cart is theirs; nil when they are shared.
	idle chan *buyer
}

// startSessions starts the sessions.
func startSessions(ctx context.Context, shop Shop, operator string, n int, exclusive bool) (*buyers, error) {
	bs := &buyers{all: make([]*buyer, n)}
	err := parallel(ctx, n, func(ctx context.Context, i int) error {
		token, err := shop.Session(ctx, operator)
		if err != nil {
			return fmt.Errorf("start the session of buyer %d of %d (a shop limits those of one address: give --token of an operator, or start it "+
				"with --session-rate 0): %w", i+1, n, err)
		}
		bs.all[i] = &buyer{index: int32(i), token: token} //nolint:gosec // At most buyersMax.
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

// lend picks the buyer of a visit. There are at least as many as visits may be under way.
func (bs *buyers) lend(n int) *buyer {
	if bs.idle != nil {
		return <-bs.idle
	}
	return bs.all[n%len(bs.all)]
}

func (bs *buyers) back(b *buyer) {
	if bs.idle != nil {
		bs.idle <- b
	}
}

// parallel calls do for 0 to n-1, callersMax at a time, until one fails.
func parallel(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, callersMax) {
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

func bounded(ctx context.Context, i int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return do(ctx, i)
}
