package server

import (
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/store"
)

func TestGetProducts_InTheOrderOfTheRequest(t *testing.T) {
	_, client := startCatalog(t, 3)
	got, err := client.GetProducts(t.Context(), &spillwayv1.GetProductsRequest{Skus: []string{"P02", "NOPE", "P00"}, CurrencyCode: "EUR"})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, p := range got.GetProducts() {
		found = append(found, p.GetSku())
		if p.GetPrice().GetCurrencyCode() != "EUR" || p.GetAvailable() != int64(p.GetSku()[2]-'0') {
			t.Errorf("got %v", p)
		}
	}
	if !slices.Equal(found, []string{"P02", "P00"}) || !slices.Equal(got.GetMissingSkus(), []string{"NOPE"}) {
		t.Errorf("found %v, missing %v", found, got.GetMissingSkus())
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = strings.Repeat("x", 1+i%60) + string(rune('a'+i/60))
	}
	for name, skus := range map[string][]string{"none": nil, "one twice": {"P00", "P00"}, "an empty one": {""}, "too many": many} {
		if _, err := client.GetProducts(t.Context(), &spillwayv1.GetProductsRequest{Skus: skus}); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v; want invalid_argument", name, err)
		}
	}
}

// TestListProducts_TokensBelongToFilters: a token of one list is none of another, and those of the plain list are SKUs as ever.
func TestListProducts_TokensBelongToFilters(t *testing.T) {
	s := &fakeCatalog{products: []store.Product{{SKU: "A"}, {SKU: "B"}, {SKU: "C"}}}
	c := Catalog{Products: s, Cache: s, Available: s}
	lists := map[string]*spillwayv1.ListProductsRequest{
		"plain": {}, "sorted": {Sort: spillwayv1.ProductSort_PRODUCT_SORT_PRICE}, "category": {Category: "c"}, "in stock": {InStock: true},
	}
	for name, req := range lists {
		req.PageSize = 1
		first, err := c.ListProducts(t.Context(), req)
		if err != nil || first.GetNextPageToken() == "" {
			t.Fatalf("%s: %v, %v", name, first, err)
		}
		for other, again := range lists {
			again.PageSize, again.PageToken = 1, first.GetNextPageToken()
			got, err := c.ListProducts(t.Context(), again)
			again.PageToken = ""
			if same := name == other; same != (err == nil) || (same && got.GetProducts()[0].GetSku() != "B") {
				t.Errorf("the token of %s in %s: %v, %v", name, other, got, err)
			}
		}
	}
}

func TestSearchProducts_Words(t *testing.T) {
	s := &fakeCatalog{products: []store.Product{{SKU: "A"}}}
	c := Catalog{Products: s, Cache: s, Available: s}
	req := &spillwayv1.SearchProductsRequest{Query: "  red \t mug", Category: "c", InStock: true, Sort: spillwayv1.ProductSort_PRODUCT_SORT_NEWEST}
	if _, err := c.SearchProducts(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	want := store.ProductQuery{Text: "red mug", Category: "c", InStock: true, Sort: store.Newest, Limit: defaultPageSize + 1}
	if len(s.found) != 1 || s.found[0] != want {
		t.Errorf("searched %+v; want %+v", s.found, want)
	}
	for name, query := range map[string]string{"no word": " \t ", "too many": strings.Repeat("a ", store.MaxSearchWords+1)} {
		_, err := c.SearchProducts(t.Context(), &spillwayv1.SearchProductsRequest{Query: query})
		if connect.CodeOf(translate(t.Context(), discardLog, "", err)) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v; want invalid_argument", name, err)
		}
	}
}
