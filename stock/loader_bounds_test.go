package stock

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/spillway/spillway/order"
)

func coldSKUs(n int) []order.SKU {
	out := make([]order.SKU, n)
	for i := range out {
		out[i] = order.SKU(strconv.Itoa(i))
	}
	return out
}

func wantRetry(t *testing.T, err error) {
	t.Helper()
	var retry *order.RetryError
	if !errors.As(err, &retry) || !errors.Is(err, order.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v; want a RetryError with ErrUnavailable", err)
	}
}

func TestLoader_BatchTimeoutIsRetryable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoader(func(ctx context.Context, _ []order.SKU) (map[order.SKU]error, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		wantRetry(t, l.load(t.Context(), coldSKUs(1)))
	})
}

func TestLoader_BoundsBatchesAndWaitingSKUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan struct{})
		var batches []int
		l := newLoader(func(_ context.Context, skus []order.SKU) (map[order.SKU]error, error) {
			<-proceed
			batches = append(batches, len(skus))
			return nil, nil
		})
		done := make(chan error, 1)
		go func() { done <- l.load(t.Context(), []order.SKU{"first"}) }()
		synctest.Wait()
		go func() { done <- l.load(t.Context(), coldSKUs(maxWaitingSKUs)) }()
		synctest.Wait()
		wantRetry(t, l.load(t.Context(), []order.SKU{"one too many"}))
		close(proceed)
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if len(batches) != 1+maxWaitingSKUs/maxBatchSKUs || batches[0] != 1 || batches[1] != maxBatchSKUs {
			t.Errorf("the batches have %v SKUs", batches)
		}
		synctest.Wait()
		if len(l.loads) != 0 || l.running {
			t.Errorf("%d loads are left; running: %t", len(l.loads), l.running)
		}
	})
}
