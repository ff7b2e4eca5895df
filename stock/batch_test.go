package stock

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillway/spillway/order"
)

// fakeItem is an item that shares calls with items of its epoch.
type fakeItem struct{ epoch, n, size int }

func (i fakeItem) sharesCall(with fakeItem) bool { return i.epoch == with.epoch }
func (i fakeItem) lines() int                    { return i.size }

// fakeScript returns each item's number as its reply, after a second.
type fakeScript struct {
	batcher[fakeItem]

	mu    sync.Mutex
	runs  [][]int
	panic bool
}

func newFakeScript() *fakeScript {
	f := &fakeScript{}
	f.run = func(calls []*batchCall[fakeItem]) {
		<-time.After(time.Second)
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.panic {
			f.panic = false
			panic("in the middle")
		}
		var items []int
		for _, c := range calls {
			items = append(items, c.item.n)
			c.reply = []string{strconv.Itoa(c.item.n)}
		}
		f.runs = append(f.runs, items)
	}
	return f
}

func (f *fakeScript) mustDo(t *testing.T, i fakeItem) {
	t.Helper()
	if reply, err := f.do(t.Context(), i); err != nil || !slices.Equal(reply, []string{strconv.Itoa(i.n)}) {
		t.Errorf("item %d got %q, %v", i.n, reply, err)
	}
}

// startAll starts a call for each item, in their order.
func (f *fakeScript) startAll(t *testing.T, wg *sync.WaitGroup, items ...fakeItem) {
	t.Helper()
	for _, i := range items {
		wg.Go(func() { f.mustDo(t, i) })
		synctest.Wait()
	}
}

func (f *fakeScript) wantRuns(t *testing.T, want ...[]int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.EqualFunc(f.runs, want, slices.Equal) {
		t.Errorf("runs of %v; want %v", f.runs, want)
	}
}

func TestBatcher_CallsThatWaitFormTheNextRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, began := newFakeScript(), time.Now()
		var wg sync.WaitGroup
		f.startAll(t, &wg, fakeItem{n: 1}, fakeItem{n: 2}, fakeItem{n: 3})
		wg.Wait()
		f.mustDo(t, fakeItem{n: 4})
		f.wantRuns(t, []int{1}, []int{2, 3}, []int{4})
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %s; want one second for each run", took)
		}
	})
}

func TestBatcher_RunsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeScript()
		var wg sync.WaitGroup
		f.startAll(t, &wg, fakeItem{n: 1}, fakeItem{n: 2, size: maxBatchLines - 1}, fakeItem{n: 3, size: 1}, fakeItem{n: 4, size: 1},
			fakeItem{n: 5, size: maxBatchLines + 1}, fakeItem{n: 6, epoch: 1}, fakeItem{n: 7, epoch: 1}, fakeItem{n: 8})
		wg.Wait()
		f.wantRuns(t, []int{1}, []int{2, 3}, []int{4}, []int{5}, []int{6, 7}, []int{8})

		f.runs = nil
		many := []fakeItem{{n: 0}}
		for n := range maxBatch + 1 {
			many = append(many, fakeItem{n: n + 1})
		}
		f.startAll(t, &wg, many...)
		wg.Wait()
		if len(f.runs) != 3 || len(f.runs[1]) != maxBatch || len(f.runs[2]) != 1 {
			t.Errorf("runs of %v; want one of %d", f.runs, maxBatch)
		}
	})
}

func TestBatcher_CallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeScript()
		var wg sync.WaitGroup
		f.startAll(t, &wg, fakeItem{n: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		if _, err := f.do(ctx, fakeItem{n: 2}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller that left while it waited: %v", err)
		}
		wg.Wait()
		f.startAll(t, &wg, fakeItem{n: 3})
		ctx, cancel = context.WithTimeout(t.Context(), 3*time.Second/2)
		defer cancel()
		if _, err := f.do(ctx, fakeItem{n: 4}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller that left during its call: %v", err)
		}
		f.mustDo(t, fakeItem{n: 5})
		wg.Wait()
		f.wantRuns(t, []int{1}, []int{3}, []int{4}, []int{5})
	})
}

func TestBatcher_TooManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeScript()
		var wg sync.WaitGroup
		f.startAll(t, &wg, fakeItem{n: 0})
		for n := range maxWaiting {
			wg.Go(func() { f.mustDo(t, fakeItem{n: n + 1}) })
		}
		synctest.Wait()
		if _, err := f.do(t.Context(), fakeItem{n: -1}); !errors.Is(err, order.ErrOverloaded) {
			t.Errorf("beyond the bound: %v; want ErrOverloaded", err)
		}
		wg.Wait()
	})
}

// TestBatcher_PanicInARun checks that others do not wait for the run of a caller that panicked.
func TestBatcher_PanicInARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeScript()
		f.panic = true
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic did not reach its caller")
				}
			}()
			_, _ = f.do(t.Context(), fakeItem{n: 1})
		})
		synctest.Wait()
		f.startAll(t, &wg, fakeItem{n: 2})
		wg.Wait()
		f.mustDo(t, fakeItem{n: 3})
		f.wantRuns(t, []int{2}, []int{3})
	})
}
