package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// productCallers is the number of products that are created at once: below the 8 calls of operators that one serve process takes.
const productCallers = 6

// product creates one product as an operator does.
func (s *shop) product(ctx context.Context, initial int) (sku string, err error) {
	skus, err := s.products(ctx, 1, initial)
	if err != nil {
		return "", err
	}
	return skus[0], nil
}

// products creates products with the same initial stock.
func (s *shop) products(ctx context.Context, n, initial int) ([]string, error) {
	token, err := operatorToken(s.key)
	if err != nil {
		return nil, err
	}
	skus := make([]string, n)
	for i := range skus {
		skus[i] = newSKU()
		s.stock[skus[i]] = initial
	}
	errs := make([]error, productCallers)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += productCallers {
				errs[w] = createProduct(ctx, s.serve.addr, token, skus[i], initial)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return skus, nil
}

func operatorToken(key string) (string, error) {
	return mint(key, auth.Caller{Customer: "bench", Roles: []auth.Role{auth.Operator}})
}

func createProduct(ctx context.Context, addr, token, sku string, initial int) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ctx, call := connect.NewClientContext(ctx)
	call.RequestHeader().Set("Authorization", "Bearer "+token)
	_, err := spillwayv1connect.NewCatalogServiceClient(http.DefaultClient, "http://"+addr).CreateProduct(ctx, &spillwayv1.CreateProductRequest{
		Product: &spillwayv1.ProductInput{
			Sku: sku, Name: productName, Price: &spillwayv1.Money{CurrencyCode: "USD", Units: 1, Nanos: 990_000_000},
		},
		InitialStock: int64(initial),
	})
	if err != nil {
		return fmt.Errorf("create product %s: %w", sku, err)
	}
	return nil
}
