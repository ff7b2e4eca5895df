package server

import (
	"context"
	"errors"
	"log/slog"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// PaymentLedger reads the charge and the refunds of an order.
type PaymentLedger interface {
	// Get returns order.ErrNotFound when no charge was requested.
	Get(ctx context.Context, id order.ID) (order.Charge, error)
	// Refunds returns the refunds of the order, oldest first.
	Refunds(ctx context.Context, id order.ID) ([]order.Refund, error)
}

// orderPayment is what the ledger has about one order.
type orderPayment struct {
	charge  order.Charge
	refunds []order.Refund
	// known is whether the ledger could be read.
	known bool
}

// paymentOf reads the ledger. An order is shown without its payment while that fails: it may be in Redis alone.
func (s Orders) paymentOf(ctx context.Context, o order.Order) orderPayment {
	if s.Ledger == nil {
		return orderPayment{}
	}
	p, err := readPayment(ctx, s.Ledger, o.ID)
	if err != nil {
		s.log().WarnContext(ctx, "failed to read the payment of an order, showing it without", "order", o.ID, "error", err)
		return orderPayment{}
	}
	return p
}

func (s Orders) log() *slog.Logger { return s.Reader.Log }

func readPayment(ctx context.Context, ledger PaymentLedger, id order.ID) (p orderPayment, err error) {
	p.charge, err = ledger.Get(ctx, id)
	switch {
	case errors.Is(err, order.ErrNotFound):
		p.known = true
		return p, nil
	case err != nil:
		return orderPayment{}, err
	case p.charge.State.Taken(): // Others have no refunds.
		p.refunds, err = ledger.Refunds(ctx, id)
	}
	p.known = err == nil
	return p, err
}

// message is the charge of the customer's order; nil without one. The provider's decline code is for operators, and for customers with an account.
func (p orderPayment) message(ctx context.Context, customer order.CustomerID) *spillwayv1.OrderPayment {
	if p.charge.State == order.ChargeNone {
		return nil
	}
	code := p.charge.DeclineCode
	if caller, _ := auth.From(ctx); !caller.ReadsAll() {
		code = order.ShownDecline(customer, code)
	}
	return &spillwayv1.OrderPayment{
		State: wire.ChargeState(p.charge.State), Amount: wire.Money(p.charge.Amount), DeclineCode: code,
		Attempts:   int32(p.charge.Attempt), //nolint:gosec // At most order.MaxChargeAttempts.
		CreateTime: timestamppb.New(p.charge.CreatedAt), UpdateTime: timestamppb.New(p.charge.UpdatedAt),
	}
}

// refundMessages are the refunds. Their reasons are what operators wrote for each other.
func (p orderPayment) refundMessages(ctx context.Context) []*spillwayv1.Refund {
	caller, _ := auth.From(ctx)
	var out []*spillwayv1.Refund
	for _, r := range p.refunds {
		m := refundMessage(r)
		if !caller.ReadsAll() {
			m.Reason = ""
		}
		out = append(out, m)
	}
	return out
}

// waitingFor is what a PENDING order waits for. The ledger has a charge without a known outcome as PENDING, or, of an order that was placed
// with a card, not at all: there it is written with the provider's response.
func (p orderPayment) waitingFor(o order.Order) spillwayv1.WaitingFor {
	payLater := !o.ExpiresAt.IsZero()
	switch {
	case o.State != order.Pending || !p.known || p.charge.State == order.ChargeVoided:
		return spillwayv1.WaitingFor_WAITING_FOR_UNSPECIFIED
	case payLater && (p.charge.State == order.ChargeNone || p.charge.State == order.ChargeDeclined):
		return spillwayv1.WaitingFor_WAITING_FOR_CARD
	case p.charge.State == order.ChargeDeclined: // It is being cancelled.
		return spillwayv1.WaitingFor_WAITING_FOR_UNSPECIFIED
	}
	return spillwayv1.WaitingFor_WAITING_FOR_PAYMENT_OUTCOME
}
