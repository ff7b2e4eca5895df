package workers

import (
	"context"
	"errors"
	"sync"
)

// tryEach is each for calls that may fail. It returns how many did not, and the errors of the others.
func tryEach[T any](ctx context.Context, n int, items []T, do func(T) error) (done int, err error) {
	var mu sync.Mutex
	var errs []error
	each(ctx, n, items, func(item T) {
		if err := do(item); err != nil {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		}
	})
	return len(items) - len(errs), errors.Join(errs...)
}

// each calls do for every item, at most n at once, and returns when all are done. When ctx ends, the calls under way
// finish by their own context; further ones see it too.
func each[T any](_ context.Context, n int, items []T, do func(T)) {
	next := make(chan T)
	var wg sync.WaitGroup
	for range min(n, len(items)) {
		wg.Go(func() {
			for item := range next {
				do(item)
			}
		})
	}
	for _, item := range items {
		next <- item
	}
	close(next)
	wg.Wait()
}
