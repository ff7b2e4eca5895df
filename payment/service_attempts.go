package payment

import (
	"context"
	"errors"
	"fmt"

	"github.com/spillway/spillway/order"
)

// tooManyAttempts is the decline code of an order whose cards are used up. No provider was asked.
const tooManyAttempts = "too_many_attempts"

// errOtherAttempt is the error of an answer that is about an earlier attempt.
var errOtherAttempt = errors.New("the provider answered for an earlier attempt")

// chargeAgain charges an order that may have been declined before. The ledger's line decides which attempt this is: a declined one
// becomes pending under the next number before the provider is called, by compare-and-set, and the provider takes the money of one
// attempt once. So an attempt is only ever made after the one before was declined, and concurrent callers share it.
func (p *Service) chargeAgain(ctx context.Context, id order.ID, amount order.Money, card Card) (order.Charge, error) {
	held, err := p.Ledger.Get(ctx, id)
	if errors.Is(err, order.ErrNotFound) {
		return p.charge(ctx, id, amount, card)
	}
	if err == nil && held.State == order.ChargeDeclined && held.Amount == amount {
		if held.Attempt >= order.MaxChargeAttempts {
			held.DeclineCode = tooManyAttempts
			return held, nil
		}
		held, err = p.Ledger.NextAttempt(ctx, held, string(order.NewID(0, p.Now())))
	}
	if err != nil {
		return order.Charge{}, fmt.Errorf("start a charge of %s: %w", id, err)
	}
	switch held.State {
	case order.ChargeVoided, order.ChargeRefunding, order.ChargeRefunded:
		return order.Charge{}, fmt.Errorf("order %s must not be charged any more: %w", id, order.ErrFailedPrecondition)
	case order.ChargeSucceeded, order.ChargeDeclined: // Another caller was faster.
		return held, nil
	case order.ChargePending, order.ChargeNone:
	}
	if held.Amount != amount {
		return held, nil
	}
	return p.attempt(ctx, held, card)
}

// attempt calls the provider for the attempt of a pending line.
func (p *Service) attempt(ctx context.Context, held order.Charge, card Card) (order.Charge, error) {
	callCtx, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	outcome, perr := p.Provider.ChargeAgain(callCtx, held.OrderID, held.Attempt, held.Amount, card)
	if perr == nil && !answers(outcome, held.Attempt) {
		perr = errOtherAttempt
	}
	line := p.attemptLine(held.OrderID, held.Attempt, held.Amount, outcome, perr)
	// The tombstone of a cancellation may have been written meanwhile.
	held, err := p.Ledger.Get(ctx, held.OrderID)
	if err != nil {
		return order.Charge{}, fmt.Errorf("book the charge of %s: %w: %w", line.OrderID, order.ErrUnknownOutcome, err)
	}
	return p.booked(ctx, held, line, perr)
}

// attemptLine is the ledger's line of an attempt; PENDING when the provider did not answer.
func (p *Service) attemptLine(id order.ID, attempt int, amount order.Money, outcome Outcome, perr error) order.Charge {
	line := p.newLine(id, amount, outcome)
	line.Attempt = max(attempt, outcome.Attempt)
	if perr != nil {
		line.State, line.DeclineCode = order.ChargePending, ""
	}
	return line
}

// answers says whether the outcome is that of the attempt. A success counts for every attempt, because the provider takes an order's
// money once; a refusal of an earlier card says nothing about this one.
func answers(outcome Outcome, attempt int) bool {
	return outcome.Attempt >= attempt || (outcome.Succeeded && !outcome.Refunded)
}

// resolves says whether the line has the outcome of the pending line that the ledger holds.
func resolves(line, held order.Charge) bool {
	return line.State == order.ChargeSucceeded || (line.State != order.ChargePending && line.Attempt >= held.Attempt)
}
