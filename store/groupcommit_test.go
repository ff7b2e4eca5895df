package store

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// TestGroup_AnswersOfCallersThatLeft checks that each caller gets the result of its own item, although buffers and channels are used again and
// some callers leave before their commit.
func TestGroup_AnswersOfCallersThatLeft(t *testing.T) {
	entered, commit := make(chan struct{}), make(chan struct{})
	blocking := true
	g := newGroup(func(_ context.Context, items []int) ([]int, error) {
		if blocking { // Only the first commit; the goroutine of the group alone reads and writes this.
			blocking = false
			entered <- struct{}{}
			<-commit
		}
		for i := range items {
			items[i] *= 10
		}
		return items, nil
	})
	defer g.close()
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := g.do(ctx, 1)
		left <- err
	}()
	<-entered
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want context.Canceled", err)
	}
	close(commit)
	var callers sync.WaitGroup
	for i := range 10 * maxGroup {
		callers.Go(func() {
			ended, end := context.WithCancel(t.Context())
			defer end()
			if i%7 == 0 {
				end()
			}
			got, err := g.do(ended, i)
			if got != 10*i && !errors.Is(err, context.Canceled) {
				t.Errorf("item %d got %d, %v", i, got, err)
			}
		})
	}
	callers.Wait()
}

func BenchmarkGroup(b *testing.B) {
	g := newGroup(func(_ context.Context, items []int) ([]int, error) { return items, nil })
	defer g.close()
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = g.do(b.Context(), 1)
		}
	})
}
