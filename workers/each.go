package workers

import (
	"errors"
	"fmt"
	"sync"
)

// maxJoinedErrors bounds the errors of one iteration that are logged: in an outage all items fail for the same reason.
const maxJoinedErrors = 3

// forEachErr is forEach for calls that may fail. It returns how many succeeded, and the first maxJoinedErrors errors of the others, joined.
func forEachErr[T any](n int, items []T, do func(T) error) (done int, err error) {
	var mu sync.Mutex
	var errs []error
	failed := 0
	forEach(n, items, func(item T) {
		if err := do(item); err != nil {
			mu.Lock()
			defer mu.Unlock()
			if failed++; failed <= maxJoinedErrors {
				errs = append(errs, err)
			}
		}
	})
	if more := failed - len(errs); more > 0 {
		errs = append(errs, fmt.Errorf("and %d more", more))
	}
	return len(items) - failed, errors.Join(errs...)
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
