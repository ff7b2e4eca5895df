package server

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// stubLimitedPrices are stubPrices for products of which a customer may order so many units.
type stubLimitedPrices struct{ most int }

func (p stubLimitedPrices) Prices(ctx context.Context, skus []order.SKU) (map[order.SKU]ProductPrice, error) {
	out, err := stubPrices{}.Prices(ctx, skus)
	for sku, priced := range out {
		priced.MaxPerCustomer = p.most
		out[sku] = priced
	}
	return out, err
}

// wantLimit checks that the request was refused by the limit.
func wantLimit(t *testing.T, err error, limit order.Limit) {
	t.Helper()
	var e *order.LimitError
	if !errors.As(err, &e) || e.Limit != limit {
		t.Errorf("got %v; want limit %s", err, limit)
	}
}

func TestPlaceOrder_UnitsOfAProductForEachCustomer(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		s.checkout.Prices = stubLimitedPrices{most: 2}
		s.place(t, "k1", goodCard)
		s.place(t, "k2", "")
		_, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("k3", goodCard))
		wantLimit(t, err, order.LimitCustomerUnits)
		s.place(t, "k1", goodCard) // A retry is no other order.
		if n := s.left(t); n != 98 {
			t.Errorf("%d units are left, want 98", n)
		}
	})
}

// TestPlaceOrder_UnitsThatRedisLost: what the customer ordered counts, paid or not, though only SQL has it.
func TestPlaceOrder_UnitsThatRedisLost(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		s.checkout.Prices = stubLimitedPrices{most: 3}
		older := s.copyRedis(t)
		s.place(t, "k1", goodCard)
		s.place(t, "k2", "")
		s.flush(t)
		s.rollBack(t, older)
		s.place(t, "k3", goodCard)
		_, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("k4", goodCard))
		wantLimit(t, err, order.LimitCustomerUnits)
		s.place(t, "k1", goodCard) // A retry is no other order.
		if n := s.left(t); n != 97 {
			t.Errorf("%d units are left, want 97", n)
		}
	})
}

// TestPlaceOrder_UnpaidShare: the order without a card is refused before anything is reserved, and the same one with a card is not. A card
// with an unknown outcome counts as none, until the retry brings the outcome.
func TestPlaceOrder_UnpaidShare(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		big := func(key, card string) error {
			req := placeRequest(key, card)
			req.Lines[0].Quantity = 8
			_, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), req)
			return err
		}
		if err := big("k1", "4000000000000036"); err != nil { // The provider is down: PENDING.
			t.Fatal(err)
		}
		wantLimit(t, big("k2", ""), order.LimitUnpaidShare)
		if n := s.left(t); n != 92 {
			t.Errorf("%d units are left, want 92", n)
		}
		if err := big("k2", goodCard); err != nil {
			t.Errorf("with a card: %v", err)
		}
		if err := big("k1", goodCard); err != nil {
			t.Errorf("the retry with another card: %v", err)
		}
		if err := big("k3", ""); err != nil {
			t.Errorf("after the first one is paid: %v", err)
		}
	})
}

func TestCreateProduct_MaxPerCustomer(t *testing.T) {
	_, client := startCatalog(t, 0)
	for sku, c := range map[string]struct {
		most *int32
		want int32
	}{"UNSET": {nil, order.DefaultMaxPerCustomer}, "NONE": {proto.Int32(0), 0}, "THREE": {proto.Int32(3), 3}} {
		resp, err := client.CreateProduct(t.Context(), &spillwayv1.CreateProductRequest{Product: &spillwayv1.ProductInput{
			Sku: sku, Name: "n", Price: &spillwayv1.Money{CurrencyCode: "EUR", Units: 2}, MaxPerCustomer: c.most,
		}})
		if err != nil || resp.GetProduct().GetMaxPerCustomer() != c.want {
			t.Errorf("%s: %v (%v); want %d", sku, resp.GetProduct(), err, c.want)
		}
	}
}
