package workers

import (
	"errors"
	"sync"
)

// forEachErr is forEach for calls that may fail. It returns how many succeeded, and the joined errors of the others.
func forEachErr[T any](n int, items []T, do func(T) error) (done int, err error) {
	var mu sync.Mutex
	var errs []error
	forEach(n, items, func(item T) {
		if err := do(item); err != nil {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		}
	})
	return len(items) - len(errs), errors.Join(errs...)
}

// forEach calls do for every item, at most n at once, and returns when all are done. It does not stop early: do sees the end of its
// own context.
func forEach[T any](n int, items []T, do func(T)) {
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
