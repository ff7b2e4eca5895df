package server

import (
	"errors"
	"slices"
	"testing"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// TestPlaceOrder_SoldOutAgain checks what the second and later customers of a sold-out product get, whom the process refuses without Redis'
// script: the same error, after the same other errors, and the last buyer's retry gets its order.
func TestPlaceOrder_SoldOutAgain(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		if _, _, err := s.Adjust(t.Context(), 1, order.Adjustment{ID: "nearly all", SKU: "A", Units: -99}); err != nil {
			t.Fatal(err)
		}
		last := s.place(t, "last", goodCard)
		place := func(change func(*spillwayv1.PlaceOrderRequest)) error {
			req := placeRequest("late", goodCard)
			change(req)
			_, err := s.checkout.PlaceOrder(as(t.Context(), "c2"), req)
			return err
		}
		same := func(*spillwayv1.PlaceOrderRequest) {}
		first := place(same)
		var sold *order.SoldOutError
		if !errors.As(first, &sold) {
			t.Fatalf("got %v; want sold out", first)
		}
		var again *order.SoldOutError
		if second := place(same); !errors.As(second, &again) || !slices.Equal(again.Shortages, sold.Shortages) || second.Error() != first.Error() {
			t.Errorf("the second refusal is %#v; want %#v", second, first)
		}
		if retry := s.place(t, "last", goodCard); retry.GetId() != last.GetId() || retry.GetState() != spillwayv1.OrderState_ORDER_STATE_PAID {
			t.Errorf("the last buyer's retry got %v; want the paid order %s", retry, last.GetId())
		}
		var changed *order.PriceChangedError
		if err := place(func(r *spillwayv1.PlaceOrderRequest) {
			r.ExpectedTotal = wire.Money(order.Money{Currency: "EUR", Amount: 1})
		}); !errors.As(err, &changed) {
			t.Errorf("with another total: %v; want PriceChanged", err)
		}
		if err := place(func(r *spillwayv1.PlaceOrderRequest) { r.CurrencyCode = "XXX" }); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("in an unknown currency: %v; want ErrInvalid", err)
		}
		if _, _, err := s.Adjust(t.Context(), 1, order.Adjustment{ID: "delivery", SKU: "A", Units: 1}); err != nil {
			t.Fatal(err)
		}
		if err := place(same); err != nil {
			t.Errorf("after a delivery: %v", err)
		}
	})
}
