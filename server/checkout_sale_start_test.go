package server

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// stubSale has the prices of stubPrices, for products whose sale begins at start.
type stubSale struct {
	stubPrices
	start time.Time
}

func (s stubSale) Prices(ctx context.Context, skus []order.SKU) (map[order.SKU]ProductPrice, error) {
	prices, err := s.stubPrices.Prices(ctx, skus)
	for sku, p := range prices {
		p.SaleStartsAt = s.start
		prices[sku] = p
	}
	return prices, err
}

// TestPlaceOrder_SaleStart: an order of before the start is refused and takes no stock; a quote is given; a retry gets its order although the
// start was moved since.
func TestPlaceOrder_SaleStart(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		start := time.Now().UTC()
		s.checkout.Prices = stubSale{start: start}
		s.checkout.Now = func() time.Time { return start.Add(-time.Nanosecond) }
		before := s.left(t)

		var refused *order.RefusalError
		_, err := s.checkout.PlaceOrder(as(t.Context(), "c1"), placeRequest("k1", goodCard))
		if !errors.As(err, &refused) || refused.Reason != order.ReasonSaleNotStarted || refused.Metadata["saleStartTime"] != start.Format(time.RFC3339Nano) {
			t.Errorf("an order before the start: %v; want SALE_NOT_STARTED at %s", err, start)
		}
		if got := s.left(t); got != before {
			t.Errorf("%d of A are left; want %d", got, before)
		}
		quote := &spillwayv1.QuoteRequest{Lines: placeRequest("k", "").GetLines(), CurrencyCode: "EUR", CountryCode: "DE"}
		if _, err := s.checkout.Quote(as(t.Context(), "c1"), quote); err != nil {
			t.Errorf("a quote before the start: %v", err)
		}

		s.checkout.Now = func() time.Time { return start }
		placed := s.place(t, "k1", goodCard)
		s.checkout.Prices = stubSale{start: start.Add(time.Hour)}
		if again := s.place(t, "k1", goodCard); again.GetId() != placed.GetId() {
			t.Errorf("the retry gets %s; want %s", again.GetId(), placed.GetId())
		}
	})
}

// TestCatalog_SaleStart: an operator sets the start, changes other fields without it, and takes it away.
func TestCatalog_SaleStart(t *testing.T) {
	_, client := startCatalog(t, 0)
	start := timestamppb.New(time.Date(2030, time.May, 1, 8, 0, 0, 0, time.UTC))
	in := &spillwayv1.ProductInput{Sku: "SALE", Name: "n", Price: &spillwayv1.Money{CurrencyCode: "EUR", Units: 2}, SaleStartTime: start}
	if _, err := client.CreateProduct(t.Context(), &spillwayv1.CreateProductRequest{Product: in}); err != nil {
		t.Fatal(err)
	}
	in.SaleStartTime = nil
	for _, step := range []struct {
		mask *fieldmaskpb.FieldMask
		want *timestamppb.Timestamp
	}{{nil, start}, {maskOf("name"), start}, {maskOf("sale_start_time"), nil}} {
		resp, err := client.UpdateProduct(t.Context(), &spillwayv1.UpdateProductRequest{Product: in, UpdateMask: step.mask})
		if err != nil || !proto.Equal(resp.GetProduct().GetSaleStartTime(), step.want) {
			t.Errorf("after an update of %v the sale starts at %v (%v); want %v", step.mask.GetPaths(), resp.GetProduct().GetSaleStartTime(), err, step.want)
		}
	}
}
