package server

import (
	"context"
	"errors"
	"testing"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/cart"
	"github.com/spillway/spillway/currency"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// stubCart is a cart of one customer; it does not change.
type stubCart struct {
	CartStore
	cart.Cart
}

func (c stubCart) Get(context.Context, order.CustomerID) (cart.Cart, error) { return c.Cart, nil }

func (c stubCart) Add(context.Context, order.CustomerID, order.Demand) (cart.Cart, error) {
	return c.Cart, nil
}

// stubUnknown is an availability that cannot be read.
type stubUnknown struct{}

func (stubUnknown) Available(context.Context, []order.SKU) (map[order.SKU]int64, error) {
	return nil, order.ErrUnavailable
}

func newDetailedCart(t *testing.T) Cart {
	t.Helper()
	rates, err := currency.Load()
	if err != nil {
		t.Fatal(err)
	}
	shelf := &fakeCatalog{products: []store.Product{
		{SKU: "A", Name: "a", Picture: "/a.svg", Price: order.Money{Currency: "USD", Amount: 250}, Stock: 3, MaxPerCustomer: 5},
		{SKU: "B", Name: "b", Price: order.Money{Currency: "USD", Amount: 100}, Stock: 1, Archived: true},
		{SKU: "E", Name: "e", Price: order.Money{Currency: "EUR", Amount: 100}},
	}}
	held := cart.Cart{Items: []order.Demand{{SKU: "A", Quantity: 2}, {SKU: "B", Quantity: 1}, {SKU: "GONE", Quantity: 1}}}
	return Cart{Carts: stubCart{Cart: held}, Products: shelf, Available: shelf, Rates: rates}
}

func TestGetCart_NamesPricesAndWhatIsLeft(t *testing.T) {
	c := newDetailedCart(t)
	got, err := c.GetCart(t.Context(), &spillwayv1.GetCartRequest{})
	items := got.GetCart().GetItems()
	if err != nil || len(items) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	a := items[0]
	if a.GetName() != "a" || a.GetPicture() != "/a.svg" || a.GetAvailable() != 3 || a.GetMaxPerCustomer() != 5 || a.GetArchived() ||
		a.GetUnitPrice().GetUnits() != 2 || a.GetTotal().GetUnits() != 5 || a.GetTotal().GetCurrencyCode() != "USD" {
		t.Errorf("the first item is %v", a)
	}
	if !items[1].GetArchived() || items[1].GetName() != "b" || !items[2].GetArchived() || items[2].GetUnitPrice() != nil {
		t.Errorf("what is not sold any more is %v and %v", items[1], items[2])
	}
	if total := got.GetCart().GetItemsTotal(); total.GetUnits() != 5 || total.GetNanos() != 0 {
		t.Errorf("the total is %v; want that of what is sold, 5 USD", total)
	}
	if got, err := c.GetCart(t.Context(), &spillwayv1.GetCartRequest{CurrencyCode: "JPY"}); err != nil ||
		got.GetCart().GetItems()[0].GetUnitPrice().GetCurrencyCode() != "JPY" || got.GetCart().GetItemsTotal().GetCurrencyCode() != "JPY" {
		t.Errorf("in yen: %v, %v", got, err)
	}
	if _, err := c.GetCart(t.Context(), &spillwayv1.GetCartRequest{CurrencyCode: "XXX"}); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("in no currency: %v; want ErrInvalid", err)
	}
	c.Carts = stubCart{Cart: cart.Cart{Items: []order.Demand{{SKU: "A", Quantity: 2}, {SKU: "E", Quantity: 1}}}}
	if got, err := c.GetCart(t.Context(), &spillwayv1.GetCartRequest{}); err != nil || got.GetCart().GetItemsTotal() != nil {
		t.Errorf("in two currencies: %v, %v; want no total", got.GetCart().GetItemsTotal(), err)
	}
}

// TestAddItem_ChangeThatWasMadeSucceeds: a client that is told of a failure would add the units again.
func TestAddItem_ChangeThatWasMadeSucceeds(t *testing.T) {
	c := newDetailedCart(t)
	c.Available = stubUnknown{}
	got, err := c.AddItem(t.Context(), &spillwayv1.AddItemRequest{Sku: "A", Quantity: 1})
	if err != nil || len(got.GetCart().GetItems()) != 3 || got.GetCart().GetItems()[0].GetName() != "" {
		t.Errorf("added while prices cannot be read: %v, %v; want the plain cart", got, err)
	}
	if _, err := c.GetCart(t.Context(), &spillwayv1.GetCartRequest{}); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("read: %v; want ErrUnavailable", err)
	}
	_, err = c.AddItem(t.Context(), &spillwayv1.AddItemRequest{Sku: "A", Quantity: 1, CurrencyCode: "XXX"})
	if connect.CodeOf(translate(t.Context(), discardLog, "", err)) != connect.CodeInvalidArgument {
		t.Errorf("added in no currency: %v; want invalid_argument, before the change", err)
	}
}
