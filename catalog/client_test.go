package catalog

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

// frozenCatalog responds to nothing until it is resumed.
type frozenCatalog struct {
	spillwayv1connect.CatalogServiceClient

	resumed chan struct{}
}

func (f frozenCatalog) GetProducts(ctx context.Context, req *spillwayv1.GetProductsRequest) (*spillwayv1.GetProductsResponse, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-f.resumed:
	}
	out := &spillwayv1.GetProductsResponse{}
	for _, sku := range req.GetSkus() {
		out.Products = append(out.Products, &spillwayv1.Product{Sku: sku, Price: &spillwayv1.Money{CurrencyCode: "EUR", Units: 1}})
	}
	return out, nil
}

// TestClient_ReaderWithADeadline: readers of the same products share one call, and each returns when its own context ends.
func TestClient_ReaderWithADeadline(t *testing.T) {
	t.Parallel()
	const timeout = time.Minute // of the call: more than the test takes
	frozen := frozenCatalog{resumed: make(chan struct{})}
	c := NewClient(frozen, breaker.NewPolicy("catalog", breaker.Config{Timeout: timeout, Failures: 1, Window: 1, Delay: time.Second}))
	patient := make(chan error, 1)
	go func() {
		_, err := c.Get(t.Context(), "S")
		patient <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := c.Get(ctx, "S")
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, breaker.ErrCallerLeft) || errors.Is(err, order.ErrUnavailable) {
		t.Errorf("the reader with a deadline: %v", err)
	}
	if took := time.Since(began); took > timeout/2 {
		t.Errorf("it returned after %s", took)
	}
	close(frozen.resumed)
	if err := <-patient; err != nil {
		t.Errorf("the other reader: %v", err)
	}
}

// panickingCatalog panics with a value, once it is resumed.
type panickingCatalog struct {
	frozenCatalog

	value any
}

func (p panickingCatalog) GetProducts(context.Context, *spillwayv1.GetProductsRequest) (*spillwayv1.GetProductsResponse, error) {
	<-p.resumed
	panic(p.value)
}

// TestClient_Panic: a panic in the call that readers share is the error of each of them, and not the end of the process.
func TestClient_Panic(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value      any
		want, hide string
	}{
		"value":         {errors.New("4242424242424242"), "panicked with a *errors.errorString", "4242424242424242"},
		"runtime error": {new(runtime.PanicNilError), "panic called with nil argument", "4242424242424242"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := panickingCatalog{frozenCatalog{resumed: make(chan struct{})}, c.value}
			client := NewClient(service, breaker.NewPolicy("catalog", breaker.Config{Timeout: time.Minute, Failures: 9, Window: 9, Delay: time.Second}))
			const readers = 2
			errs := make(chan error, readers)
			for range readers {
				go func() {
					_, err := client.Get(t.Context(), "S")
					errs <- err
				}()
			}
			close(service.resumed)
			for range readers {
				err := <-errs
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "GetProducts") || strings.Contains(err.Error(), c.hide) {
					t.Errorf("%v; want %q and the stack", err, c.want)
				}
			}
		})
	}
}
