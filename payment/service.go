package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// Ledger keeps one line of each order's money in SQL.
type Ledger interface {
	Record(ctx context.Context, ch order.Charge) (order.Charge, error)
	Get(ctx context.Context, id order.ID) (order.Charge, error)
	NextAttempt(ctx context.Context, declined order.Charge, chargeID string) (order.Charge, error)
	ResolveAttempt(ctx context.Context, read order.Charge, to order.ChargeState, declineCode string) (order.Charge, error)
	Void(ctx context.Context, id order.ID, chargeID string, currency order.Currency) (order.Charge, error)
	Revoid(ctx context.Context, id order.ID) error
	Refund(ctx context.Context, id order.ID, refundID, reason string) (order.Refund, order.Charge, error)
	TookLate(ctx context.Context, id order.ID, amount order.Money, refundID, reason string) (order.Refund, order.Charge, error)
	GetRefund(ctx context.Context, refundID string) (order.Refund, error)
	OpenRefunds(ctx context.Context, id order.ID) ([]order.Refund, error)
	ConfirmRefund(ctx context.Context, r order.Refund) (order.Charge, error)
}

// providerTimeout is how long the provider is waited for. It is less than the 3 s after which callers give up on this service,
// so that the ledger can note the unknown outcome in time.
const providerTimeout = 2500 * time.Millisecond

// Service is the PaymentService.
type Service struct {
	Provider Provider
	Ledger   Ledger
	Now      func() time.Time

	flights singleflight.Group
}

// Charge takes the order's money once. The provider is called first and the outcome booked in one shared commit, so a charge
// costs one commit; the provider itself knows the order's id, so that a crash in between is found by asking it.
func (p *Service) Charge(ctx context.Context, req *spillwayv1.ChargeRequest) (*spillwayv1.ChargeResponse, error) {
	// What SQL cannot take must not get into a commit that others share.
	id, err := order.ParseID(req.GetOrderId())
	if err != nil {
		return nil, err
	}
	amount, err := wire.FromMoney(req.GetAmount())
	if err != nil {
		return nil, err
	}
	if amount.Amount <= 0 {
		return nil, fmt.Errorf("%s cannot be charged: %w", amount, order.ErrInvalid)
	}
	card := NewCard(req.GetCard().GetNumber(), req.GetCard().GetCvv(), int(req.GetCard().GetExpiryYear()), int(req.GetCard().GetExpiryMonth()))
	// A retry joins the charge under way instead of asking the provider a second time.
	booked, err, _ := p.flights.Do(string(id), func() (any, error) {
		if req.GetAfterDecline() {
			return p.chargeAgain(context.WithoutCancel(ctx), id, amount, card)
		}
		return p.charge(context.WithoutCancel(ctx), id, amount, card)
	})
	if err != nil {
		return nil, err
	}
	ch := booked.(order.Charge) //nolint:forcetypeassert,errcheck // charge returned it.
	if ch.Amount != amount {
		return nil, fmt.Errorf("order %s was charged %s before, not %s: %w", id, ch.Amount, amount, order.ErrAlreadyExists)
	}
	return &spillwayv1.ChargeResponse{Charge: chargeMessage(ch)}, nil
}

func (p *Service) charge(ctx context.Context, id order.ID, amount order.Money, card Card) (order.Charge, error) {
	callCtx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	outcome, perr := p.Provider.Charge(callCtx, id, amount, card)
	line := p.attemptLine(id, 1, amount, outcome, perr)
	booked, err := p.Ledger.Record(ctx, line)
	if err != nil {
		return order.Charge{}, fmt.Errorf("book the charge of %s: %w: %w", id, order.ErrUnknownOutcome, err)
	}
	return p.booked(ctx, booked, line, perr)
}

// newLine is the ledger's line of an outcome.
func (p *Service) newLine(id order.ID, amount order.Money, outcome Outcome) order.Charge {
	line := order.Charge{OrderID: id, ChargeID: string(order.NewID(0, p.Now())), Amount: amount, State: order.ChargeSucceeded}
	if !outcome.Succeeded {
		line.State, line.DeclineCode = order.ChargeDeclined, outcome.DeclineCode
	}
	return line
}

// booked compares what was asked of the provider with the ledger's line, which may be older.
func (p *Service) booked(ctx context.Context, held, line order.Charge, perr error) (order.Charge, error) {
	var err error
	if held.State == order.ChargePending && resolves(line, held) {
		if held, err = p.Ledger.ResolveAttempt(ctx, held, line.State, line.DeclineCode); err != nil {
			return order.Charge{}, fmt.Errorf("book the charge of %s: %w: %w", line.OrderID, order.ErrUnknownOutcome, err)
		}
	}
	switch held.State {
	case order.ChargePending:
		return order.Charge{}, fmt.Errorf("the provider did not answer for order %s; ask GetCharge: %w: %w", line.OrderID, order.ErrUnknownOutcome, perr)
	case order.ChargeVoided, order.ChargeRefunding, order.ChargeRefunded:
		return order.Charge{}, p.refuse(ctx, held, line, perr)
	case order.ChargeDeclined:
		if line.State == order.ChargeSucceeded {
			// The provider forgot that it had declined, and the customer was told so: what it took now goes back.
			if _, err := p.returnLate(ctx, line.OrderID, line.Amount); err != nil {
				return order.Charge{}, err
			}
		}
	case order.ChargeSucceeded, order.ChargeNone:
	}
	return held, nil
}

// GetCharge says what became of a charge. It asks the provider when the ledger does not know, and of a voided one whether the provider
// took the money all the same: then a refund of it is booked and executed.
func (p *Service) GetCharge(ctx context.Context, req *spillwayv1.GetChargeRequest) (*spillwayv1.GetChargeResponse, error) {
	id, err := order.ParseID(req.GetOrderId())
	if err != nil {
		return nil, err
	}
	ch, err := p.line(ctx, id)
	if err != nil {
		return nil, err
	}
	return &spillwayv1.GetChargeResponse{Charge: chargeMessage(ch)}, nil
}

// line is the ledger's line of an order, after asking the provider where that is pending, or missing: a process that died
// between the provider's answer and the commit left none.
func (p *Service) line(ctx context.Context, id order.ID) (order.Charge, error) {
	ch, err := p.Ledger.Get(ctx, id)
	missing := errors.Is(err, order.ErrNotFound)
	switch {
	case err != nil && !missing:
		return ch, err
	case err == nil && ch.State == order.ChargeVoided:
		return p.recheck(ctx, ch)
	case err == nil && ch.State != order.ChargePending:
		return ch, nil
	}
	callCtx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	outcome, found, ferr := p.Provider.Find(callCtx, id)
	switch {
	case ferr != nil:
		return order.Charge{}, fmt.Errorf("ask the provider for the charge of %s: %w: %w", id, order.ErrUnavailable, ferr)
	case !found || !answers(outcome, ch.Attempt):
		return ch, err // Nobody knows; Void makes sure that it stays uncharged.
	}
	now := p.newLine(id, outcome.Amount, outcome)
	now.Attempt = outcome.Attempt
	if missing {
		return p.Ledger.Record(ctx, now)
	}
	return p.Ledger.ResolveAttempt(ctx, ch, now.State, now.DeclineCode)
}

// Void makes sure that the order will never be charged. What the provider took meanwhile is not hidden by it.
func (p *Service) Void(ctx context.Context, req *spillwayv1.VoidRequest) (*spillwayv1.VoidResponse, error) {
	id, err := order.ParseID(req.GetOrderId())
	if err != nil {
		return nil, err
	}
	if _, err := p.line(ctx, id); err != nil && !errors.Is(err, order.ErrNotFound) {
		return nil, err
	}
	ch, err := p.Ledger.Void(ctx, id, string(order.NewID(0, p.Now())), "XXX")
	if err != nil {
		return nil, err
	}
	return &spillwayv1.VoidResponse{Charge: chargeMessage(ch)}, nil
}

func chargeMessage(ch order.Charge) *spillwayv1.ChargeRecord {
	return &spillwayv1.ChargeRecord{
		OrderId: string(ch.OrderID), ChargeId: ch.ChargeID, State: wire.ChargeState(ch.State), Amount: wire.Money(ch.Amount),
		DeclineCode: ch.DeclineCode, CreateTime: timestamppb.New(ch.CreatedAt), Attempt: int32(ch.Attempt), //nolint:gosec // At most order.MaxChargeAttempts.
	}
}
