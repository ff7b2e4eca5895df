package payment

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillway/spillway/order"
)

// errOtherAttempt means that the provider returned the outcome of an earlier attempt.
var errOtherAttempt = errors.New("outcome of an earlier attempt")

// chargeAgain charges an order that may have been declined before. The charge in the ledger decides which attempt this is: the first one is
// recorded, and a declined charge becomes pending with the next attempt number, by compare-and-set, before the provider is called, and the
// provider charges each attempt once. So an attempt is made only after the previous one was declined, concurrent callers share it, and an order
// without a charge in the ledger has none at the provider.
func (p *Service) chargeAgain(ctx context.Context, id order.ID, amount order.Money, card Card) (order.Charge, error) {
	stored, err := p.Ledger.Get(ctx, id)
	if errors.Is(err, order.ErrNotFound) {
		stored, err = p.Ledger.Record(ctx, order.Charge{
			OrderID: id, ChargeID: string(order.NewID(0, p.Now())), Amount: amount, State: order.ChargePending, Attempt: 1,
		})
	}
	if err == nil && stored.State == order.ChargeDeclined && stored.Amount == amount {
		if stored.Attempt >= order.MaxChargeAttempts {
			stored.DeclineCode = order.DeclineAttempts
			return stored, nil
		}
		stored, err = p.Ledger.NextAttempt(ctx, stored, string(order.NewID(0, p.Now())))
	}
	if err != nil {
		return order.Charge{}, fmt.Errorf("start a charge of %s: %w", id, err)
	}
	switch stored.State {
	case order.ChargeVoided, order.ChargeRefunding, order.ChargeRefunded:
		return order.Charge{}, fmt.Errorf("order %s is voided or refunded: %w", id, order.ErrFailedPrecondition)
	case order.ChargeSucceeded, order.ChargeDeclined: // A concurrent call resolved it.
		return stored, nil
	case order.ChargePending, order.ChargeNone:
	}
	if stored.Amount != amount {
		return stored, nil
	}
	return p.attempt(ctx, stored, card)
}

// attempt calls the provider for the attempt of a pending charge.
func (p *Service) attempt(ctx context.Context, stored order.Charge, card Card) (order.Charge, error) {
	callCtx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	outcome, perr := p.callProvider(callCtx, stored, card)
	if perr == nil && !covers(outcome, stored.Attempt) {
		perr = errOtherAttempt
	}
	made := p.attempted(stored.OrderID, stored.Attempt, stored.Amount, outcome, perr)
	// A cancellation may have written a tombstone meanwhile.
	stored, err := p.Ledger.Get(ctx, stored.OrderID)
	if err != nil {
		return order.Charge{}, fmt.Errorf("record the charge of %s: %w: %w", made.OrderID, order.ErrUnknownOutcome, err)
	}
	return p.resolve(ctx, stored, made, perr)
}

// callProvider charges the card for the attempt.
func (p *Service) callProvider(ctx context.Context, stored order.Charge, card Card) (Outcome, error) {
	if stored.Attempt <= 1 {
		return p.Provider.Charge(ctx, stored.OrderID, stored.Amount, card)
	}
	return p.Provider.ChargeAgain(ctx, stored.OrderID, stored.Attempt, stored.Amount, card)
}

// attempted returns the charge of an attempt. It is PENDING if the provider returned the error perr.
func (p *Service) attempted(id order.ID, attempt int, amount order.Money, outcome Outcome, perr error) order.Charge {
	ch := p.newCharge(id, amount, outcome)
	ch.Attempt = max(attempt, outcome.Attempt)
	if perr != nil {
		ch.State, ch.DeclineCode = order.ChargePending, ""
	}
	return ch
}

// covers reports whether the outcome applies to the attempt. A success applies to every attempt, because the provider charges an order
// once. A decline of an earlier card does not apply to a later one.
func covers(outcome Outcome, attempt int) bool {
	return outcome.Attempt >= attempt || (outcome.Succeeded && !outcome.Refunded)
}

// resolves reports whether the attempt that was made has the outcome of the pending charge in the ledger.
func resolves(made, stored order.Charge) bool {
	return made.State == order.ChargeSucceeded || (made.State != order.ChargePending && made.Attempt >= stored.Attempt)
}
