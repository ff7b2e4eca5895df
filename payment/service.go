package payment

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spillway/spillway/breaker"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// Ledger stores one charge for each order in SQL, with its refunds. Implementations are safe for concurrent use. Get and GetRefund return
// order.ErrNotFound for an unknown id.
type Ledger interface {
	// Ready returns an order.RetryError of order.ErrUnavailable while charges cannot be recorded, without a call of SQL.
	Ready() error
	// Record inserts the charge unless the order has one, and returns the charge that is stored.
	Record(ctx context.Context, ch order.Charge) (order.Charge, error)
	// Get returns the charge of an order.
	Get(ctx context.Context, id order.ID) (order.Charge, error)
	// NextAttempt makes a declined charge PENDING with the next attempt number, by compare-and-set, and returns the charge that is stored.
	NextAttempt(ctx context.Context, declined order.Charge, chargeID string) (order.Charge, error)
	// ResolveAttempt stores the outcome of a PENDING attempt, by compare-and-set, and returns the charge that is stored.
	ResolveAttempt(ctx context.Context, read order.Charge, to order.ChargeState, declineCode string) (order.Charge, error)
	// Void makes the charge of an order VOIDED, or inserts a tombstone. It returns order.ErrFailedPrecondition for a charge that succeeded.
	Void(ctx context.Context, id order.ID, chargeID string, currency order.Currency) (order.Charge, error)
	// VoidUncharged is Void, except that it returns a PENDING charge as it is.
	VoidUncharged(ctx context.Context, id order.ID, chargeID string, currency order.Currency) (order.Charge, error)
	// RestartRechecks schedules the rechecks of a voided charge anew.
	RestartRechecks(ctx context.Context, id order.ID) error
	// Refund inserts a refund of the rest of the charge unless there is one, and returns both.
	Refund(ctx context.Context, id order.ID, refundID, reason string) (order.Refund, order.Charge, error)
	// BookLateCharge records a charge that the provider made although it is voided or declined here, with a refund of all of it. It is idempotent.
	BookLateCharge(ctx context.Context, id order.ID, amount order.Money, refundID, reason string) (order.Refund, order.Charge, error)
	// GetRefund returns a refund by its id.
	GetRefund(ctx context.Context, refundID string) (order.Refund, error)
	// OpenRefunds returns the refunds of an order that the provider has not confirmed.
	OpenRefunds(ctx context.Context, id order.ID) ([]order.Refund, error)
	// ConfirmRefund records the provider's confirmation of a refund and returns the charge. It is idempotent.
	ConfirmRefund(ctx context.Context, r order.Refund) (order.Charge, error)
}

// providerTimeout bounds the calls to the provider in one request. It is less than the 3 s timeout of this service's callers, so that the
// ledger has an unknown outcome before the caller gives up.
const providerTimeout = 2500 * time.Millisecond

// noCurrency is the ISO 4217 code of tombstones, which have no amount.
const noCurrency = "XXX"

// Service is the PaymentService. All its methods are idempotent and safe for concurrent use. Its errors are order.ErrNotFound for an unknown
// order or refund, order.ErrUnavailable if the provider does not respond, and those of each method.
type Service struct {
	Provider Provider
	Ledger   Ledger
	// Now returns the current time.
	Now func() time.Time

	// flights joins concurrent charges of one order.
	flights singleflight.Group
	// timeout bounds the calls to the provider that charge an order for the first time.
	timeout breaker.SharedTimeout
}

// Ready returns an order.RetryError of order.ErrUnavailable while the outcome of a charge could not be recorded.
func (p *Service) Ready() error { return p.Ledger.Ready() }

// Charge charges the order once. The provider is called first and the outcome is recorded in one group commit, so that a charge costs one
// commit. After a crash in between, a query of the provider by order id finds the charge. Charge returns order.ErrInvalid for an amount of
// zero or less, order.ErrAlreadyExists if the order was charged another amount, order.ErrFailedPrecondition if it was voided or refunded,
// and order.ErrUnknownOutcome if the provider did not respond within providerTimeout or the ledger failed.
func (p *Service) Charge(ctx context.Context, req *spillwayv1.ChargeRequest) (*spillwayv1.ChargeResponse, error) {
	amount, err := wire.FromMoney(req.GetAmount())
	if err != nil {
		return nil, err
	}
	card := NewCard(req.GetCard().GetNumber(), req.GetCard().GetCvv(), int(req.GetCard().GetExpiryYear()), int(req.GetCard().GetExpiryMonth()))
	ch, err := p.ChargeCard(ctx, order.ID(req.GetOrderId()), amount, card, req.GetAfterDecline())
	if err != nil {
		return nil, err
	}
	return &spillwayv1.ChargeResponse{Charge: chargeMessage(ch)}, nil
}

// ChargeCard is Charge without messages. It does not end with ctx.
func (p *Service) ChargeCard(ctx context.Context, orderID order.ID, amount order.Money, card Card, afterDecline bool) (order.Charge, error) {
	// A row that SQL rejects must not get into a group commit with the rows of others.
	id, err := order.ParseID(string(orderID))
	if err != nil {
		return order.Charge{}, err
	}
	if amount.Amount <= 0 {
		return order.Charge{}, fmt.Errorf("amount %s must be positive: %w", amount, order.ErrInvalid)
	}
	// A concurrent retry joins the charge in flight, so that the provider is called once.
	shared, err, _ := p.flights.Do(string(id), func() (any, error) {
		if afterDecline {
			return p.chargeAgain(context.WithoutCancel(ctx), id, amount, card)
		}
		return p.charge(context.WithoutCancel(ctx), id, amount, card)
	})
	if err != nil {
		return order.Charge{}, err
	}
	ch := shared.(order.Charge) //nolint:forcetypeassert,errcheck // charge and chargeAgain return this type.
	if ch.Amount != amount {
		return order.Charge{}, fmt.Errorf("order %s was charged %s, not %s: %w", id, ch.Amount, amount, order.ErrAlreadyExists)
	}
	return ch, nil
}

// charge makes the first attempt and records its outcome. The end of ctx does not end it.
func (p *Service) charge(ctx context.Context, id order.ID, amount order.Money, card Card) (order.Charge, error) {
	outcome, perr := p.Provider.Charge(p.timeout.Detach(ctx, providerTimeout), id, amount, card)
	made := p.attempted(id, 1, amount, outcome, perr)
	stored, err := p.Ledger.Record(ctx, made)
	if err != nil {
		return order.Charge{}, fmt.Errorf("record the charge of %s: %w: %w", id, order.ErrUnknownOutcome, err)
	}
	return p.resolve(ctx, stored, made, perr)
}

// newCharge returns the charge of a provider's outcome.
func (p *Service) newCharge(id order.ID, amount order.Money, outcome Outcome) order.Charge {
	ch := order.Charge{OrderID: id, ChargeID: string(order.NewID(0, p.Now())), Amount: amount, State: order.ChargeSucceeded}
	if !outcome.Succeeded {
		ch.State, ch.DeclineCode = order.ChargeDeclined, outcome.DeclineCode
	}
	return ch
}

// resolve returns the result of a charge: it compares the attempt that was made, with the provider's error perr, with the charge in the ledger,
// which an earlier or concurrent call may have written.
func (p *Service) resolve(ctx context.Context, stored, made order.Charge, perr error) (order.Charge, error) {
	var err error
	if stored.State == order.ChargePending && resolves(made, stored) {
		if stored, err = p.Ledger.ResolveAttempt(ctx, stored, made.State, made.DeclineCode); err != nil {
			return order.Charge{}, fmt.Errorf("record the charge of %s: %w: %w", made.OrderID, order.ErrUnknownOutcome, err)
		}
	}
	switch stored.State {
	case order.ChargePending:
		return order.Charge{}, fmt.Errorf("no response of the provider for order %s, call GetCharge later: %w: %w", made.OrderID, order.ErrUnknownOutcome, perr)
	case order.ChargeVoided, order.ChargeRefunding, order.ChargeRefunded:
		return order.Charge{}, p.refuse(ctx, stored, made, perr)
	case order.ChargeDeclined:
		if made.State == order.ChargeSucceeded {
			// The provider lost its decline, which the customer has seen. The charge that it made now is refunded.
			if _, err := p.refundLate(ctx, made.OrderID, made.Amount); err != nil {
				return order.Charge{}, err
			}
		}
	case order.ChargeSucceeded, order.ChargeNone:
	}
	return stored, nil
}

// GetCharge returns the charge of an order. It queries the provider if the charge is pending or not in the ledger, and if it is voided: if the
// provider has charged a voided order, a refund is recorded and executed. It returns order.ErrNotFound for an order without a charge.
func (p *Service) GetCharge(ctx context.Context, req *spillwayv1.GetChargeRequest) (*spillwayv1.GetChargeResponse, error) {
	id, err := order.ParseID(req.GetOrderId())
	if err != nil {
		return nil, err
	}
	ch, err := p.current(ctx, id)
	if err != nil {
		return nil, err
	}
	return &spillwayv1.GetChargeResponse{Charge: chargeMessage(ch)}, nil
}

// current returns the charge of an order, after a query of the provider if it is pending or missing. A process that died between the provider's
// response and the commit leaves none.
func (p *Service) current(ctx context.Context, id order.ID) (order.Charge, error) {
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
		return order.Charge{}, fmt.Errorf("query the provider for the charge of %s: %w: %w", id, order.ErrUnavailable, ferr)
	case !found || !covers(outcome, ch.Attempt):
		return ch, err // The outcome is unknown. Void ensures that the order stays uncharged.
	}
	now := p.newCharge(id, outcome.Amount, outcome)
	now.Attempt = outcome.Attempt
	if missing {
		return p.Ledger.Record(ctx, now)
	}
	return p.Ledger.ResolveAttempt(ctx, ch, now.State, now.DeclineCode)
}

// Void ensures that the order is never charged, by a tombstone in the ledger. It returns order.ErrFailedPrecondition if the order has been
// charged. A charge that the provider makes meanwhile is refunded when it is found. With IfUncharged it does not call the provider, and
// returns a charge of unknown outcome as PENDING.
func (p *Service) Void(ctx context.Context, req *spillwayv1.VoidRequest) (*spillwayv1.VoidResponse, error) {
	id, err := order.ParseID(req.GetOrderId())
	if err != nil {
		return nil, err
	}
	void := p.Ledger.VoidUncharged
	if !req.GetIfUncharged() {
		if _, err := p.current(ctx, id); err != nil && !errors.Is(err, order.ErrNotFound) {
			return nil, err
		}
		void = p.Ledger.Void
	}
	ch, err := void(ctx, id, string(order.NewID(0, p.Now())), noCurrency)
	if err != nil {
		return nil, err
	}
	return &spillwayv1.VoidResponse{Charge: chargeMessage(ch)}, nil
}

// chargeMessage returns the charge as a message of the API.
func chargeMessage(ch order.Charge) *spillwayv1.ChargeRecord {
	return &spillwayv1.ChargeRecord{
		OrderId: string(ch.OrderID), ChargeId: ch.ChargeID, State: wire.ChargeState(ch.State), Amount: wire.Money(ch.Amount),
		DeclineCode: ch.DeclineCode, CreateTime: timestamppb.New(ch.CreatedAt), Attempt: int32(ch.Attempt), //nolint:gosec // At most order.MaxChargeAttempts.
	}
}
