package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// Refunder refunds paid orders for operators: what is booked in the order's row is executed by the payment service.
type Refunder struct {
	Ledger interface {
		// RefundOrder books a refund, once a key.
		RefundOrder(ctx context.Context, r store.RefundRequest) (order.Refund, error)
		GetRefund(ctx context.Context, refundID string) (order.Refund, error)
	}
	Payments interface {
		// ExecuteRefund has the provider do a refund that is booked.
		ExecuteRefund(ctx context.Context, refundID string) error
	}
	Log *slog.Logger
	Now func() time.Time
}

// RefundOrder gives a part of a paid order's money back, or all that is left of a shipped order's.
func (s Orders) RefundOrder(ctx context.Context, req *spillwayv1.RefundOrderRequest) (*spillwayv1.RefundOrderResponse, error) {
	r, err := s.Refunder.request(ctx, req)
	if err != nil {
		return nil, err
	}
	o, err := s.Changing.ReadToChange(ctx, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	r.OrderID = o.ID
	refund, err := s.Refunder.refund(ctx, r, o.State)
	if err != nil {
		return nil, err
	}
	if o, err = s.Changing.Read(ctx, req.GetOrderId()); err != nil {
		return nil, err
	}
	return &spillwayv1.RefundOrderResponse{Order: wire.Order(o), Refund: refundMessage(refund)}, nil
}

// request checks the request.
func (f *Refunder) request(ctx context.Context, req *spillwayv1.RefundOrderRequest) (store.RefundRequest, error) {
	key, err := requestKey(ctx, req.GetIdempotencyKey(), "refund of the order")
	if err != nil {
		return store.RefundRequest{}, err
	}
	r := store.RefundRequest{RefundID: string(order.NewID(0, f.Now())), Reason: req.GetReason(), Actor: actor(ctx), Key: key}
	if req.GetAmount() == nil {
		return r, nil
	}
	if r.Amount, err = wire.FromMoney(req.GetAmount()); err != nil {
		return r, inField("amount", err)
	}
	if r.Amount.Amount <= 0 {
		return r, invalidField("amount", "%s cannot be refunded: send an amount above 0, or none for all that is left", r.Amount)
	}
	return r, nil
}

// refund books the refund and has it executed. What the provider does not confirm now, the refund worker has confirmed later. It does not
// end with the caller's deadline.
func (f *Refunder) refund(ctx context.Context, r store.RefundRequest, seen order.State) (order.Refund, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	refund, err := f.Ledger.RefundOrder(ctx, r)
	switch err = inField("amount", err); {
	case errors.Is(err, order.ErrNotFound), errors.Is(err, store.ErrNotPaid):
		return refund, notPaid(err, r.OrderID, seen)
	case err != nil, !refund.ConfirmedAt.IsZero():
		return refund, err
	}
	if err := f.Payments.ExecuteRefund(ctx, refund.RefundID); err != nil {
		f.Log.WarnContext(ctx, "refund is not confirmed, it will be retried", "refund_id", refund.RefundID, "order_id", r.OrderID, "error", err)
		return refund, nil
	}
	return f.Ledger.GetRefund(ctx, refund.RefundID)
}

// textNotWritten is the text for an order that is PAID in Redis and not yet in SQL.
const textNotWritten = "the order's payment is not in SQL yet; send the same request again"

// notPaid is the error for an order that is not paid in SQL. Where Redis has it as paid, its row is on its way.
func notPaid(err error, id order.ID, seen order.State) error {
	if seen == order.Pending || seen == order.Cancelled {
		return store.ErrNotPaid
	}
	return notDurableYet(id, textNotWritten, err)
}

func refundMessage(r order.Refund) *spillwayv1.Refund {
	out := &spillwayv1.Refund{Id: r.RefundID, Amount: wire.Money(r.Amount), Reason: r.Reason, CreateTime: timestamppb.New(r.CreatedAt)}
	if !r.ConfirmedAt.IsZero() {
		out.ConfirmTime = timestamppb.New(r.ConfirmedAt)
	}
	return out
}
