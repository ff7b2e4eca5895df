package server

import (
	"context"
	"errors"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// stubLedger is the ledger of one order.
type stubLedger struct {
	charge  order.Charge
	refunds []order.Refund
	err     error
}

func (l stubLedger) Get(context.Context, order.ID) (order.Charge, error) {
	if l.err == nil && l.charge.State == order.ChargeNone {
		return order.Charge{}, order.ErrNotFound
	}
	return l.charge, l.err
}

func (l stubLedger) Refunds(context.Context, order.ID) ([]order.Refund, error) {
	return l.refunds, l.err
}

func TestGetOrder_WaitingFor(t *testing.T) {
	const (
		nothing = spillwayv1.WaitingFor_WAITING_FOR_UNSPECIFIED
		card    = spillwayv1.WaitingFor_WAITING_FOR_CARD
		outcome = spillwayv1.WaitingFor_WAITING_FOR_PAYMENT_OUTCOME
	)
	for name, c := range map[string]struct {
		state    order.State
		payLater bool
		charge   order.ChargeState
		err      error
		want     spillwayv1.WaitingFor
	}{
		"no card yet":                {order.Pending, true, order.ChargeNone, nil, card},
		"another card":               {order.Pending, true, order.ChargeDeclined, nil, card},
		"paid later, being charged":  {order.Pending, true, order.ChargePending, nil, outcome},
		"with a card, no response":   {order.Pending, false, order.ChargeNone, nil, outcome},
		"charged, not settled":       {order.Pending, false, order.ChargeSucceeded, nil, outcome},
		"declined, being released":   {order.Pending, false, order.ChargeDeclined, nil, nothing},
		"voided, being cancelled":    {order.Pending, true, order.ChargeVoided, nil, nothing},
		"paid":                       {order.Paid, false, order.ChargeSucceeded, nil, nothing},
		"the ledger is unavailable":  {order.Pending, true, order.ChargeNone, order.ErrUnavailable, nothing},
		"cancelled before it was so": {order.Cancelled, true, order.ChargeNone, nil, nothing},
	} {
		o := orderOf("me", c.state, 0)
		if c.payLater {
			o.ExpiresAt = o.CreatedAt.Add(time.Hour)
		}
		ledger := stubLedger{charge: order.Charge{State: c.charge, Amount: order.Money{Currency: "EUR", Amount: 100}}, err: c.err}
		s := Orders{Reader: OrderReader{Hot: stubHotOrders{}, Rows: stubRows{orders: []order.Order{o}}, Log: discardLog}, Ledger: ledger}
		got, err := s.GetOrder(as(t.Context(), "me"), &spillwayv1.GetOrderRequest{OrderId: string(o.ID)})
		if err != nil || got.GetWaitingFor() != c.want {
			t.Errorf("%s: %v, %v; want %v", name, got.GetWaitingFor(), err, c.want)
		}
		if shown := c.charge != order.ChargeNone && c.err == nil; (got.GetPayment() != nil) != shown {
			t.Errorf("%s: the payment is %v", name, got.GetPayment())
		}
	}
}

// TestGetOrder_RefundReasons: an operator's reason is not shown to the customer.
func TestGetOrder_RefundReasons(t *testing.T) {
	o := orderOf("me", order.Shipped, 0)
	ledger := stubLedger{
		charge:  order.Charge{State: order.ChargeSucceeded, Amount: order.Money{Currency: "EUR", Amount: 100}},
		refunds: []order.Refund{{RefundID: "R", Amount: order.Money{Currency: "EUR", Amount: 5}, Reason: "a known complainer"}},
	}
	s := Orders{Reader: OrderReader{Hot: stubHotOrders{}, Rows: stubRows{orders: []order.Order{o}}, Log: discardLog}, Ledger: ledger}
	got, err := s.GetOrder(as(t.Context(), "me"), &spillwayv1.GetOrderRequest{OrderId: string(o.ID)})
	if err != nil || len(got.GetRefunds()) != 1 || got.GetRefunds()[0].GetReason() != "" || got.GetRefunds()[0].GetConfirmTime() != nil {
		t.Errorf("the customer gets %v, %v", got.GetRefunds(), err)
	}
	got, err = s.GetOrder(as(t.Context(), "op", "operator"), &spillwayv1.GetOrderRequest{OrderId: string(o.ID)})
	if err != nil || len(got.GetRefunds()) != 1 || got.GetRefunds()[0].GetReason() == "" {
		t.Errorf("the operator gets %v, %v", got.GetRefunds(), err)
	}
	s.Ledger = stubLedger{err: errors.New("down")}
	if got, err := s.GetOrder(as(t.Context(), "me"), &spillwayv1.GetOrderRequest{OrderId: string(o.ID)}); err != nil || got.GetOrder().GetId() != string(o.ID) {
		t.Errorf("without the ledger: %v, %v; want the order", got, err)
	}
}
