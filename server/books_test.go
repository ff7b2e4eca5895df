package server

import (
	"testing"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// TestListBalances_RealOrders has a held, a sold and a cancelled order of A, and an adjustment.
func TestListBalances_RealOrders(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		s.place(t, "held", "")
		s.place(t, "sold", goodCard)
		cancelled := s.place(t, "cancelled", goodCard)
		s.flush(t)
		service := Orders{Changing: OrderReader{Hot: s.Stock, Rows: s.orders, Log: discardLog}, Canceller: s.canceller}
		if _, err := service.CancelOrder(as(t.Context(), "c1"), &spillwayv1.CancelOrderRequest{OrderId: cancelled.GetId()}); err != nil {
			t.Fatal(err)
		}
		epoch, err := s.OpenEpoch()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Adjust(t.Context(), epoch, order.Adjustment{ID: "x", SKU: "A", Units: 7, Reason: "r", Actor: "op"}); err != nil {
			t.Fatal(err)
		}
		s.flush(t)
		audits := NewAudit(nil).WithBooks(store.NewAudits(s.db))
		first, err := audits.ListBalances(t.Context(), &spillwayv1.ListBalancesRequest{PageSize: 1})
		if err != nil || len(first.GetBalances()) != 1 || first.GetNextPageToken() == "" || first.GetReadTime() == nil {
			t.Fatalf("the first page: %v, %v", first, err)
		}
		want := &spillwayv1.StockBalance{Sku: "A", Name: "a", Initial: 100, Restocked: 7, OnHand: 104, Held: 1, Sold: 1, Returning: 1}
		if got := first.GetBalances()[0]; got.String() != want.String() {
			t.Errorf("the balance of A is %v; want %v", got, want)
		}
		second, err := audits.ListBalances(t.Context(), &spillwayv1.ListBalancesRequest{PageSize: 1, PageToken: first.GetNextPageToken()})
		if b := second.GetBalances(); err != nil || len(b) != 1 || b[0].GetSku() != "B" || b[0].GetOnHand() != 100 || second.GetNextPageToken() != "" {
			t.Errorf("the second page: %v, %v", second, err)
		}
	})
}
