package workers

import (
	"context"
	"sync"
)

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
