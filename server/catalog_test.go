package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/cart"
	"github.com/spillway/spillway/currency"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// fakeCatalog is a catalogue in memory: the store, the cache and the availability at once.
type fakeCatalog struct {
	products []store.Product
	// changed are the fields of each update.
	changed [][]store.ProductField
	// found are the queries.
	found []store.ProductQuery
}

func (s *fakeCatalog) find(sku order.SKU) int {
	return slices.IndexFunc(s.products, func(p store.Product) bool { return p.SKU == sku })
}

func (s *fakeCatalog) Create(_ context.Context, p store.Product, _ string) error {
	if s.find(p.SKU) >= 0 {
		return order.ErrAlreadyExists
	}
	s.products = append(s.products, p)
	slices.SortFunc(s.products, func(a, b store.Product) int { return strings.Compare(string(a.SKU), string(b.SKU)) })
	return nil
}

func (s *fakeCatalog) CreateAll(ctx context.Context, products []store.Product, actor string) error {
	for _, p := range products {
		if err := s.Create(ctx, p, actor); err != nil {
			return err
		}
	}
	return nil
}

func (s *fakeCatalog) Update(_ context.Context, p store.Product, fields []store.ProductField) error {
	i := s.find(p.SKU)
	if i < 0 {
		return order.ErrNotFound
	}
	s.changed = append(s.changed, fields)
	p.Stock = s.products[i].Stock
	if !slices.Contains(fields, store.ProductArchived) {
		p.Archived = s.products[i].Archived
	}
	if !slices.Contains(fields, store.ProductSaleStart) {
		p.SaleStartsAt = s.products[i].SaleStartsAt
	}
	s.products[i] = p
	return nil
}

func (s *fakeCatalog) List(_ context.Context, after order.SKU, limit int) (out []store.Product, err error) {
	for _, p := range s.products {
		if p.SKU > after && len(out) < limit && !p.Archived {
			out = append(out, p)
		}
	}
	return out, nil
}

func (s *fakeCatalog) ListAll(_ context.Context, after order.SKU, limit int) (out []store.Product, err error) {
	for _, p := range s.products {
		if p.SKU > after && len(out) < limit {
			out = append(out, p)
		}
	}
	return out, nil
}

func (s *fakeCatalog) Find(ctx context.Context, q store.ProductQuery) ([]store.Product, error) {
	s.found = append(s.found, q)
	return s.List(ctx, q.After, q.Limit)
}

func (s *fakeCatalog) Get(_ context.Context, sku order.SKU) (store.Product, error) {
	i := s.find(sku)
	if i < 0 {
		return store.Product{}, fmt.Errorf("product %s: %w", sku, order.ErrNotFound)
	}
	return s.products[i], nil
}

func (*fakeCatalog) Replaced(context.Context, order.SKU) error { return nil }

func (s *fakeCatalog) Available(_ context.Context, skus []order.SKU) (map[order.SKU]int64, error) {
	out := map[order.SKU]int64{}
	for _, sku := range skus {
		if i := s.find(sku); i >= 0 {
			out[sku] = s.products[i].Stock
		}
	}
	return out, nil
}

// startCatalog serves a shelf of n products that cost 10 USD each.
func startCatalog(t *testing.T, n int) (*edgeFixture, spillwayv1connect.CatalogServiceClient) {
	t.Helper()
	s := &fakeCatalog{}
	for i := range n {
		s.products = append(s.products, store.Product{
			SKU: order.SKU(fmt.Sprintf("P%02d", i)), Name: "p", Price: order.Money{Currency: "USD", Amount: 1000}, Stock: int64(i),
		})
	}
	rates, err := currency.Load()
	if err != nil {
		t.Fatal(err)
	}
	e := startServer(t, Services{Catalog: Catalog{Products: s, Cache: s, Available: s, Rates: rates}})
	return e, spillwayv1connect.NewCatalogServiceClient(e.client, e.url, bearer(e.token(t, "boss", auth.Operator)))
}

func TestListProducts_Pages(t *testing.T) {
	_, client := startCatalog(t, 45)
	var seen []string
	var pages []int
	for token := "-"; token != ""; {
		resp, err := client.ListProducts(t.Context(), &spillwayv1.ListProductsRequest{PageToken: strings.TrimPrefix(token, "-"), CurrencyCode: "EUR"})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range resp.GetProducts() {
			if p.GetPrice().GetCurrencyCode() != "EUR" || p.GetAvailable() != int64(len(seen)) {
				t.Errorf("product %d is %v", len(seen), p)
			}
			seen = append(seen, p.GetSku())
		}
		pages, token = append(pages, len(resp.GetProducts())), resp.GetNextPageToken()
	}
	if !slices.Equal(pages, []int{20, 20, 5}) || !slices.IsSorted(seen) || len(slices.Compact(seen)) != 45 {
		t.Errorf("pages of %v, products %v", pages, seen)
	}
}

// TestListProducts_Archived: operators may include archived products, others may not.
func TestListProducts_Archived(t *testing.T) {
	e, operator := startCatalog(t, 3)
	if _, err := operator.UpdateProduct(t.Context(), &spillwayv1.UpdateProductRequest{
		Product: &spillwayv1.ProductInput{Sku: "P01", Archived: true}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"archived"}},
	}); err != nil {
		t.Fatal(err)
	}
	anyone := spillwayv1connect.NewCatalogServiceClient(e.client, e.url)
	customer := spillwayv1connect.NewCatalogServiceClient(e.client, e.url, bearer(e.token(t, "me")))
	list := func(client spillwayv1connect.CatalogServiceClient, archived bool) (out []string, err error) {
		for token := "-"; token != ""; {
			resp, err := client.ListProducts(t.Context(), &spillwayv1.ListProductsRequest{
				PageSize: 2, PageToken: strings.TrimPrefix(token, "-"), IncludeArchived: archived,
			})
			if err != nil {
				return nil, err
			}
			for _, p := range resp.GetProducts() {
				out = append(out, fmt.Sprint(p.GetSku(), p.GetArchived()))
			}
			token = resp.GetNextPageToken()
		}
		return out, nil
	}
	for name, client := range map[string]spillwayv1connect.CatalogServiceClient{"anyone": anyone, "a customer": customer, "an operator": operator} {
		if got, err := list(client, false); err != nil || !slices.Equal(got, []string{"P00false", "P02false"}) {
			t.Errorf("%s lists %v (%v)", name, got, err)
		}
		got, err := list(client, true)
		if client == operator {
			if err != nil || !slices.Equal(got, []string{"P00false", "P01true", "P02false"}) {
				t.Errorf("%s lists %v including archived ones (%v)", name, got, err)
			}
		} else if connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("%s lists %v including archived ones (%v); want permission_denied", name, got, err)
		}
	}
}

func TestCatalog_CreateAndUpdate(t *testing.T) {
	_, client := startCatalog(t, 1)
	in := &spillwayv1.ProductInput{Sku: "NEW", Name: "n", Price: &spillwayv1.Money{CurrencyCode: "USD", Units: 5}}
	made, err := client.CreateProduct(t.Context(), &spillwayv1.CreateProductRequest{Product: in, InitialStock: 7})
	if err != nil || made.GetProduct().GetAvailable() != 7 {
		t.Fatalf("create: %v, %v", made, err)
	}
	in.Name = "another"
	changed, err := client.UpdateProduct(t.Context(), &spillwayv1.UpdateProductRequest{Product: in})
	if err != nil || changed.GetProduct().GetName() != "another" || changed.GetProduct().GetAvailable() != 7 {
		t.Errorf("update: %v, %v", changed, err)
	}
	create := func(in *spillwayv1.ProductInput) error {
		_, err := client.CreateProduct(t.Context(), &spillwayv1.CreateProductRequest{Product: in})
		return err
	}
	priced := func(currency string, units int64, nanos int32) *spillwayv1.ProductInput {
		return &spillwayv1.ProductInput{Sku: "X", Name: "n", Price: &spillwayv1.Money{CurrencyCode: currency, Units: units, Nanos: nanos}}
	}
	for name, c := range map[string]struct {
		err  error
		want connect.Code
	}{
		"the same SKU":          {create(in), connect.CodeAlreadyExists},
		"a currency of no rate": {create(priced("XYZ", 5, 0)), connect.CodeInvalidArgument},
		"a tenth of a cent":     {create(priced("USD", 5, 1_000_000)), connect.CodeInvalidArgument},
		"half a yen":            {create(priced("JPY", 5, 500_000_000)), connect.CodeInvalidArgument},
		"for nothing":           {create(priced("USD", 0, 0)), connect.CodeInvalidArgument},
		"signs that disagree":   {create(priced("USD", 5, -10_000_000)), connect.CodeInvalidArgument},
	} {
		if connect.CodeOf(c.err) != c.want {
			t.Errorf("%s: %v; want %v", name, c.err, c.want)
		}
	}
	if _, err := client.GetProduct(t.Context(), &spillwayv1.GetProductRequest{Sku: "NOPE"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("an unknown product: %v", err)
	}
	if _, err := client.GetProduct(t.Context(), &spillwayv1.GetProductRequest{Sku: "NEW", CurrencyCode: "XYZ"}); connect.CodeOf(
		err,
	) != connect.CodeInvalidArgument {
		t.Errorf("a currency of no rate: %v", err)
	}
}

// fakeCounters make adjustments, and remember none: that is the book's.
type fakeCounters struct{ made []order.Adjustment }

func (*fakeCounters) OpenEpoch() (int64, error) { return 1, nil }

func (c *fakeCounters) Adjust(_ context.Context, _ int64, a order.Adjustment) (journal.Offset, int64, error) {
	c.made = append(c.made, a)
	return journal.Offset{Epoch: 1, ID: "1-0"}, 42, nil
}

type stubAdjustments map[string]order.Adjustment

func (b stubAdjustments) FindAdjustment(_ context.Context, id string) (order.Adjustment, error) {
	a, ok := b[id]
	if !ok {
		return order.Adjustment{}, order.ErrNotFound
	}
	return a, nil
}

func TestAdjustments_OnceAndReturnedWhenInSQL(t *testing.T) {
	c := &fakeCounters{}
	inSQL := errors.New("not yet")
	a := Adjustments{
		Counters: c, Store: stubAdjustments{"done": {SKU: "A", Units: 5}}, Available: &fakeCatalog{products: []store.Product{{SKU: "A", Stock: 9}}},
		InSQL: func(context.Context, journal.Offset) error { return inSQL },
	}
	if left, err := a.Adjust(t.Context(), order.Adjustment{ID: "done", SKU: "A", Units: 5}); err != nil || left != 9 || len(c.made) != 0 {
		t.Errorf("again: %d left, %v, made %v; want 9 and nothing made", left, err, c.made)
	}
	if _, err := a.Adjust(t.Context(), order.Adjustment{ID: "done", SKU: "A", Units: 6}); !errors.Is(err, order.ErrAlreadyExists) {
		t.Errorf("again with another delta: %v; want ErrAlreadyExists", err)
	}
	if _, err := a.Adjust(t.Context(), order.Adjustment{ID: "new", SKU: "A", Units: 6}); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("not in SQL yet: %v; want ErrUnavailable, so that it is sent again", err)
	}
	inSQL = nil
	if left, err := a.Adjust(t.Context(), order.Adjustment{ID: "new", SKU: "A", Units: 6}); err != nil || left != 42 {
		t.Errorf("new: %d left, %v", left, err)
	}
}

// fakeCarts remembers the customer of the cart that was read.
type fakeCarts struct{ asked []order.CustomerID }

func (c *fakeCarts) answer(customer order.CustomerID, d ...order.Demand) (cart.Cart, error) {
	c.asked = append(c.asked, customer)
	return cart.Cart{Items: d}, nil
}

func (c *fakeCarts) Get(_ context.Context, customer order.CustomerID) (cart.Cart, error) {
	return c.answer(customer)
}

func (c *fakeCarts) Add(_ context.Context, customer order.CustomerID, d order.Demand) (cart.Cart, error) {
	return c.answer(customer, d)
}

func (c *fakeCarts) Set(_ context.Context, customer order.CustomerID, d order.Demand) (cart.Cart, error) {
	return c.answer(customer, d)
}

func (c *fakeCarts) EmptyIf(_ context.Context, customer order.CustomerID, _ []order.Demand) error {
	_, err := c.answer(customer)
	return err
}

func (c *fakeCarts) Empty(_ context.Context, customer order.CustomerID) error {
	_, err := c.answer(customer)
	return err
}

func TestCart_IsTheCallersAndHoldsExistingProducts(t *testing.T) {
	carts, shelf := &fakeCarts{}, &fakeCatalog{products: []store.Product{{SKU: "A"}}}
	e := startServer(t, Services{Cart: Cart{Carts: carts, Products: shelf, Available: shelf}})
	client := spillwayv1connect.NewCartServiceClient(e.client, e.url, bearer(e.token(t, "me")))
	ctx := t.Context()
	added, err := client.AddItem(ctx, &spillwayv1.AddItemRequest{Sku: "A", Quantity: 2})
	if err != nil || len(added.GetCart().GetItems()) != 1 || added.GetCart().GetItems()[0].GetQuantity() != 2 {
		t.Errorf("add: %v, %v", added, err)
	}
	if _, err := client.AddItem(ctx, &spillwayv1.AddItemRequest{Sku: "NOPE", Quantity: 2}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("add what does not exist: %v", err)
	}
	if _, err := client.AddItem(ctx, &spillwayv1.AddItemRequest{Sku: "A", Quantity: 0}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("add nothing: %v", err)
	}
	if _, err := client.SetQuantity(ctx, &spillwayv1.SetQuantityRequest{Sku: "NOPE", Quantity: 0}); err != nil {
		t.Errorf("take out what no longer exists: %v", err)
	}
	if _, err := client.EmptyCart(ctx, &spillwayv1.EmptyCartRequest{}); err != nil {
		t.Errorf("empty: %v", err)
	}
	if slices.ContainsFunc(carts.asked, func(c order.CustomerID) bool { return c != "me" }) || len(carts.asked) != 3 {
		t.Errorf("carts of %v were touched; want mine, three times", carts.asked)
	}
}
