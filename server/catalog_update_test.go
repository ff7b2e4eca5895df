package server

import (
	"errors"
	"slices"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

func maskOf(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

func TestUpdateProduct_FieldMask(t *testing.T) {
	_, client := startCatalog(t, 1)
	update := func(in *spillwayv1.ProductInput, paths ...string) (*spillwayv1.Product, error) {
		resp, err := client.UpdateProduct(t.Context(), &spillwayv1.UpdateProductRequest{Product: in, UpdateMask: maskOf(paths...)})
		return resp.GetProduct(), err
	}
	if p, err := update(&spillwayv1.ProductInput{Sku: "P00", Archived: true}, "archived"); err != nil || !p.GetArchived() || p.GetName() != "p" ||
		p.GetPrice().GetUnits() != 10 {
		t.Errorf("archive: %v, %v", p, err)
	}
	whole := &spillwayv1.ProductInput{Sku: "P00", Name: "q", Price: &spillwayv1.Money{CurrencyCode: "EUR", Units: 2}}
	if p, err := update(whole); err != nil || p.GetName() != "q" || p.GetPrice().GetUnits() != 2 || !p.GetArchived() {
		t.Errorf("without a mask: %v, %v; want all but archived replaced", p, err)
	}
	if p, err := update(&spillwayv1.ProductInput{Sku: "P00"}, "archived", "description"); err != nil || p.GetArchived() || p.GetName() != "q" {
		t.Errorf("sell it again: %v, %v", p, err)
	}
	for name, c := range map[string]struct {
		in    *spillwayv1.ProductInput
		paths []string
		want  connect.Code
	}{
		"a field that there is not":        {&spillwayv1.ProductInput{Sku: "P00"}, []string{"stock"}, connect.CodeInvalidArgument},
		"an empty name":                    {&spillwayv1.ProductInput{Sku: "P00"}, []string{"name"}, connect.CodeInvalidArgument},
		"no price":                         {&spillwayv1.ProductInput{Sku: "P00"}, []string{"price"}, connect.CodeInvalidArgument},
		"an incomplete one without a mask": {&spillwayv1.ProductInput{Sku: "P00", Name: "n"}, nil, connect.CodeInvalidArgument},
		"no product":                       {nil, []string{"archived"}, connect.CodeInvalidArgument},
		"one that there is not":            {&spillwayv1.ProductInput{Sku: "NOPE"}, []string{"archived"}, connect.CodeNotFound},
	} {
		if p, err := update(c.in, c.paths...); connect.CodeOf(err) != c.want {
			t.Errorf("%s: %v, %v; want %v", name, p, err, c.want)
		}
	}
}

// TestUpdateProduct_ChangesNoOtherField, so that two operators do not undo each other's changes.
func TestUpdateProduct_ChangesNoOtherField(t *testing.T) {
	s := &fakeCatalog{products: []store.Product{{SKU: "A", Name: "a", Price: order.Money{Currency: "USD", Amount: 1000}}}}
	c := Catalog{Products: s, Cache: s, Available: s, Rates: stubOldRates{}}
	in := &spillwayv1.ProductInput{Sku: "A", Name: "b"}
	if _, err := c.UpdateProduct(t.Context(), &spillwayv1.UpdateProductRequest{Product: in, UpdateMask: maskOf("name")}); err != nil {
		t.Fatal(err)
	}
	if len(s.changed) != 1 || !slices.Equal(s.changed[0], []store.ProductField{store.ProductName}) {
		t.Errorf("changed %v; want the name alone", s.changed)
	}
}

func TestCart_ArchivedProduct(t *testing.T) {
	carts, shelf := &fakeCarts{}, &fakeCatalog{products: []store.Product{{SKU: "A", Archived: true}}}
	e := startServer(t, Services{Cart: Cart{Carts: carts, Products: shelf, Available: shelf}})
	client := spillwayv1connect.NewCartServiceClient(e.client, e.url, bearer(e.token(t, "me")))
	if _, err := client.AddItem(t.Context(), &spillwayv1.AddItemRequest{Sku: "A", Quantity: 1}); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("add: %v; want failed_precondition", err)
	}
	if _, err := client.SetQuantity(t.Context(), &spillwayv1.SetQuantityRequest{Sku: "A", Quantity: 1}); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("set: %v; want failed_precondition", err)
	}
	if _, err := client.SetQuantity(t.Context(), &spillwayv1.SetQuantityRequest{Sku: "A", Quantity: 0}); err != nil {
		t.Errorf("take it out: %v", err)
	}
}

func TestPlaceOrder_ArchivedProduct(t *testing.T) {
	s := newCheckoutFixture(t)
	first, err := s.place("k", goodCard, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.prices.archived = true
	if again, err := s.place("k", goodCard, nil); err != nil || again.GetId() != first.GetId() {
		t.Errorf("a retry of an order: %v, %v; want the order", again.GetId(), err)
	}
	if _, err := s.place("k2", goodCard, nil); !errors.Is(err, order.ErrFailedPrecondition) || s.stock.reserved != 1 {
		t.Errorf("a new order: %v; want ErrFailedPrecondition and no reservation", err)
	}
	req := &spillwayv1.QuoteRequest{Lines: []*spillwayv1.Line{{Sku: "A", Quantity: 1}}, CurrencyCode: "EUR"}
	if _, err := s.Quote(s.ctx, req); !errors.Is(err, order.ErrFailedPrecondition) {
		t.Errorf("a quote: %v; want ErrFailedPrecondition", err)
	}
}

func TestCancelOrder_SaysWhoCancelled(t *testing.T) {
	for caller, want := range map[order.CustomerID]string{"c1": "by the customer: late", "boss": "by the shop: late"} {
		s := newCheckoutFixture(t)
		placed, err := s.place("k", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		orders := Orders{Changing: s.Reader, Canceller: &Canceller{
			Stock: s.stock, Payments: s.payments, Durable: stubDurable{}, Log: s.Log, Now: s.Now,
		}}
		ctx := auth.With(t.Context(), auth.Caller{Customer: caller, Roles: []auth.Role{auth.Operator}})
		resp, err := orders.CancelOrder(ctx, &spillwayv1.CancelOrderRequest{OrderId: placed.GetId(), Reason: "late"})
		if err != nil || resp.GetOrder().GetCancelReason() != want {
			t.Errorf("cancelled by %s: %q, %v; want %q", caller, resp.GetOrder().GetCancelReason(), err, want)
		}
	}
}
