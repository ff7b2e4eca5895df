package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"golang.org/x/sync/singleflight"

	"github.com/spillway/spillway/gateway"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// Ledger keeps one line of each order's money in SQL.
type Ledger interface {
	Record(ctx context.Context, ch store.Charge) (store.Charge, error)
	Get(ctx context.Context, id order.ID) (store.Charge, error)
	NextAttempt(ctx context.Context, declined store.Charge, chargeID string) (store.Charge, error)
	ResolveAttempt(ctx context.Context, read store.Charge, to store.ChargeState, declineCode string) (store.Charge, error)
	Void(ctx context.Context, id order.ID, chargeID string, currency order.Currency) (store.Charge, error)
	Revoid(ctx context.Context, id order.ID) error
	Refund(ctx context.Context, id order.ID, refundID, reason string) (store.Refund, store.Charge, error)
	TookLate(ctx context.Context, id order.ID, amount order.Money, refundID, reason string) (store.Refund, store.Charge, error)
	GetRefund(ctx context.Context, refundID string) (store.Refund, error)
	OpenRefunds(ctx context.Context, id order.ID) ([]store.Refund, error)
	ConfirmRefund(ctx context.Context, r store.Refund) (store.Charge, error)
}

// providerTimeout is how long the provider is waited for. It is less than the 3 s after which callers give up on this service,
// so that the ledger can note the unknown outcome in time.
const providerTimeout = 2500 * time.Millisecond

// Payment is the PaymentService.
type Payment struct {
	Provider gateway.Provider
	Ledger   Ledger
	Now      func() time.Time

	flights singleflight.Group
}

// Charge takes the order's money once. The provider is called first and the outcome booked in one shared commit, so a charge
// costs one commit; the provider itself knows the order's id, so that a crash in between is found by asking it.
func (p *Payment) Charge(ctx context.Context, req *spillwayv1.ChargeRequest) (*spillwayv1.ChargeResponse, error) {
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
	card := gateway.NewCard(req.GetCard().GetNumber(), req.GetCard().GetCvv(), int(req.GetCard().GetExpiryYear()), int(req.GetCard().GetExpiryMonth()))
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
	ch := booked.(store.Charge) //nolint:forcetypeassert,errcheck // charge returned it.
	if ch.Amount != amount {
		return nil, fmt.Errorf("order %s was charged %s before, not %s: %w", id, ch.Amount, amount, order.ErrAlreadyExists)
	}
	return &spillwayv1.ChargeResponse{Charge: chargeMessage(ch)}, nil
}

func (p *Payment) charge(ctx context.Context, id order.ID, amount order.Money, card gateway.Card) (store.Charge, error) {
	callCtx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	outcome, perr := p.Provider.Charge(callCtx, id, amount, card)
	line := p.attemptLine(id, 1, amount, outcome, perr)
	booked, err := p.Ledger.Record(ctx, line)
	if err != nil {
		return store.Charge{}, fmt.Errorf("book the charge of %s: %w: %w", id, order.ErrUnknownOutcome, err)
	}
	return p.booked(ctx, booked, line, perr)
}

// newLine is the ledger's line of an outcome.
func (p *Payment) newLine(id order.ID, amount order.Money, outcome gateway.ProviderOutcome) store.Charge {
	line := store.Charge{OrderID: id, ChargeID: string(order.NewID(0, p.Now())), Amount: amount, State: store.ChargeSucceeded}
	if !outcome.Succeeded {
		line.State, line.DeclineCode = store.ChargeDeclined, outcome.DeclineCode
	}
	return line
}

// booked compares what was asked of the provider with the ledger's line, which may be older.
func (p *Payment) booked(ctx context.Context, held, line store.Charge, perr error) (store.Charge, error) {
	var err error
	if held.State == store.ChargePending && resolves(line, held) {
		if held, err = p.Ledger.ResolveAttempt(ctx, held, line.State, line.DeclineCode); err != nil {
			return store.Charge{}, fmt.Errorf("book the charge of %s: %w: %w", line.OrderID, order.ErrUnknownOutcome, err)
		}
	}
	switch held.State {
	case store.ChargePending:
		return store.Charge{}, fmt.Errorf("the provider did not answer for order %s; ask GetCharge: %w: %w", line.OrderID, order.ErrUnknownOutcome, perr)
	case store.ChargeVoided, store.ChargeRefunding, store.ChargeRefunded:
		return store.Charge{}, p.refuse(ctx, held, line, perr)
	case store.ChargeDeclined:
		if line.State == store.ChargeSucceeded {
			// The provider forgot that it had declined, and the customer was told so: what it took now goes back.
			if _, err := p.returnLate(ctx, line.OrderID, line.Amount); err != nil {
				return store.Charge{}, err
			}
		}
	case store.ChargeSucceeded:
	}
	return held, nil
}

// GetCharge says what became of a charge. It asks the provider when the ledger does not know, and of a voided one whether the provider
// took the money all the same: then a refund of it is booked and executed.
func (p *Payment) GetCharge(ctx context.Context, req *spillwayv1.GetChargeRequest) (*spillwayv1.GetChargeResponse, error) {
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
func (p *Payment) line(ctx context.Context, id order.ID) (store.Charge, error) {
	ch, err := p.Ledger.Get(ctx, id)
	missing := errors.Is(err, order.ErrNotFound)
	switch {
	case err != nil && !missing:
		return ch, err
	case err == nil && ch.State == store.ChargeVoided:
		return p.recheck(ctx, ch)
	case err == nil && ch.State != store.ChargePending:
		return ch, nil
	}
	callCtx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	outcome, found, ferr := p.Provider.Find(callCtx, id)
	switch {
	case ferr != nil:
		return store.Charge{}, fmt.Errorf("ask the provider for the charge of %s: %w: %w", id, order.ErrUnavailable, ferr)
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
func (p *Payment) Void(ctx context.Context, req *spillwayv1.VoidRequest) (*spillwayv1.VoidResponse, error) {
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

var chargeStates = map[store.ChargeState]spillwayv1.ChargeState{
	store.ChargePending:   spillwayv1.ChargeState_CHARGE_STATE_PENDING,
	store.ChargeSucceeded: spillwayv1.ChargeState_CHARGE_STATE_SUCCEEDED,
	store.ChargeDeclined:  spillwayv1.ChargeState_CHARGE_STATE_DECLINED,
	store.ChargeVoided:    spillwayv1.ChargeState_CHARGE_STATE_VOIDED,
	store.ChargeRefunded:  spillwayv1.ChargeState_CHARGE_STATE_REFUNDED,

	store.ChargeRefunding: spillwayv1.ChargeState_CHARGE_STATE_REFUNDING,
}

func chargeMessage(ch store.Charge) *spillwayv1.ChargeRecord {
	return &spillwayv1.ChargeRecord{
		OrderId: string(ch.OrderID), ChargeId: ch.ChargeID, State: chargeStates[ch.State], Amount: wire.Money(ch.Amount),
		DeclineCode: ch.DeclineCode, CreateTime: timestamppb.New(ch.CreatedAt), Attempt: int32(ch.Attempt), //nolint:gosec // At most store.MaxAttempts.
	}
}
