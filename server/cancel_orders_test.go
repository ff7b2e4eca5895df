package server

import (
	"testing"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// TestCancelOrder_ReadsAreFull: the connections that customers read with are all taken. An order that Redis has forgotten is cancelled
// nonetheless, and one that is shipped is refunded, because neither reads over them.
func TestCancelOrder_ReadsAreFull(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, s *shopFixture) {
		full := OrderReader{Hot: stubHotOrders{}, Rows: stubRows{err: order.ErrUnavailable}, Log: discardLog}
		service := Orders{Reader: full, Changing: OrderReader{Hot: stubHotOrders{}, Rows: s.orders, Log: discardLog}, Canceller: s.canceller, Refunder: s.refunder}
		cancelled, shipped := s.place(t, "k1", goodCard), s.place(t, "k2", goodCard)
		s.flush(t)
		s.ship(t, shipped.GetId())
		if _, err := service.CancelOrder(as(t.Context(), "c1"), &spillwayv1.CancelOrderRequest{OrderId: cancelled.GetId()}); err != nil {
			t.Errorf("cancel: %v", err)
		}
		s.wantRow(t, cancelled.GetId(), order.Cancelled)
		req := &spillwayv1.RefundOrderRequest{OrderId: shipped.GetId(), IdempotencyKey: "r", Amount: euroCents(100), Reason: "scratched"}
		if _, err := service.RefundOrder(as(t.Context(), "ops", auth.Operator), req); err != nil {
			t.Errorf("refund: %v", err)
		}
	})
}
