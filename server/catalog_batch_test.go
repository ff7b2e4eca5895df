package server

import (
	"context"
	"errors"
	"strings"
	"testing"

	"connectrpc.com/connect"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

func newProduct(sku string, units int64) *spillwayv1.CreateProductRequest {
	return &spillwayv1.CreateProductRequest{
		Product:      &spillwayv1.ProductInput{Sku: sku, Name: sku, Price: &spillwayv1.Money{CurrencyCode: "EUR", Units: 1}},
		InitialStock: units,
	}
}

func TestCreateProducts_AllOrNone(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		products := store.NewProducts(s.db)
		c := Catalog{Products: products, Available: s.Stock, Rates: s.checkout.Rates}
		got, err := c.CreateProducts(
			t.Context(),
			&spillwayv1.CreateProductsRequest{Products: []*spillwayv1.CreateProductRequest{newProduct("Y", 1), newProduct("X", 2)}},
		)
		if err != nil || len(got.GetProducts()) != 2 || got.GetProducts()[1].GetSku() != "X" || got.GetProducts()[1].GetAvailable() != 2 {
			t.Errorf("created %v, %v", got, err)
		}
		_, err = c.CreateProducts(
			t.Context(),
			&spillwayv1.CreateProductsRequest{Products: []*spillwayv1.CreateProductRequest{newProduct("Z", 1), newProduct("X", 2)}},
		)
		if !errors.Is(err, order.ErrAlreadyExists) || !strings.Contains(err.Error(), "X") {
			t.Errorf("one that exists: %v; want ErrAlreadyExists of X", err)
		}
		if _, err := products.Get(t.Context(), "Z"); !errors.Is(err, order.ErrNotFound) {
			t.Errorf("the one beside it: %v; want ErrNotFound", err)
		}
	})
}

// fakeAdjuster refuses some SKUs.
type fakeAdjuster map[order.SKU]error

func (a fakeAdjuster) Adjust(_ context.Context, adj order.Adjustment) (int64, error) {
	return adj.Units, a[adj.SKU]
}

func adjustment(sku string, delta int64) *spillwayv1.AdjustStockRequest {
	return &spillwayv1.AdjustStockRequest{Sku: sku, Delta: delta, Reason: "r", AdjustmentId: "of-" + sku}
}

func TestAdjustStocks_EachForItself(t *testing.T) {
	c := Catalog{Adjuster: fakeAdjuster{
		"GONE": order.ProductNotFound("GONE"), "LATE": &order.RetryError{Err: order.ErrUnavailable, After: 1},
	}}
	got, err := c.AdjustStocks(t.Context(), &spillwayv1.AdjustStocksRequest{Adjustments: []*spillwayv1.AdjustStockRequest{
		adjustment("A", 5), adjustment("GONE", 1), adjustment("LATE", 1), adjustment("B", -2),
	}})
	if err != nil || len(got.GetResults()) != 4 {
		t.Fatalf("%v, %v", got, err)
	}
	for i, want := range []struct {
		sku       string
		reason    string
		retryable bool
	}{{"A", "", false}, {"GONE", "PRODUCT_NOT_FOUND", false}, {"LATE", "UNAVAILABLE", true}, {"B", "", false}} {
		r := got.GetResults()[i]
		if r.GetSku() != want.sku || r.GetError().GetReason() != want.reason || r.GetError().GetRetryable() != want.retryable ||
			(r.Available == nil) != (want.reason != "") {
			t.Errorf("the result of %s is %v; want reason %q", want.sku, r, want.reason)
		}
	}
	c.Adjuster = fakeAdjuster{"A": errors.New("a defect")}
	_, err = c.AdjustStocks(t.Context(), &spillwayv1.AdjustStocksRequest{Adjustments: []*spillwayv1.AdjustStockRequest{adjustment("A", 5)}})
	if connect.CodeOf(translate(t.Context(), discardLog, "", err)) != connect.CodeInternal {
		t.Errorf("a defect: %v; want internal, without its text in a result", err)
	}
}

func TestBatches_Validation(t *testing.T) {
	_, client := startCatalog(t, 1)
	for name, req := range map[string]*spillwayv1.AdjustStocksRequest{
		"none": {}, "a SKU twice": {Adjustments: []*spillwayv1.AdjustStockRequest{adjustment("A", 1), adjustment("A", 2)}},
		"no delta": {Adjustments: []*spillwayv1.AdjustStockRequest{adjustment("A", 0)}},
	} {
		if _, err := client.AdjustStocks(t.Context(), req); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("adjust %s: %v; want invalid_argument", name, err)
		}
	}
	for name, req := range map[string]*spillwayv1.CreateProductsRequest{
		"none": {}, "a SKU twice": {Products: []*spillwayv1.CreateProductRequest{newProduct("A", 1), newProduct("A", 1)}}, "no product": {Products: []*spillwayv1.CreateProductRequest{{}}},
	} {
		if _, err := client.CreateProducts(t.Context(), req); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("create %s: %v; want invalid_argument", name, err)
		}
	}
}
