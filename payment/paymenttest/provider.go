// Package paymenttest has a payment provider with faults, for tests of the payment service and of the RPCs that charge and refund.
package paymenttest

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/payment/simulated"
)

var _ payment.Provider = (*FakeProvider)(nil)

// FakeProvider is a simulated provider with faults that the test sets.
type FakeProvider struct {
	*simulated.Provider
	// Charges and Refunds count the calls.
	Charges, Refunds atomic.Int64
	// Lost: cards are charged but the responses are lost. Down: no card is charged. Silent: neither charges nor queries get a response.
	Lost, Down, Silent atomic.Bool
	// Failing: every refund fails. Flapping: every second refund fails, starting with the first.
	Failing, Flapping atomic.Bool
	// During runs inside a charge before the provider charges the card, After runs after it.
	During, After func()
}

// ErrDown is the error of a call that fails because of a fault.
var ErrDown = errors.New("provider down")

// Charge charges the card for the first attempt.
func (p *FakeProvider) Charge(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (payment.Outcome, error) {
	return p.ChargeAgain(ctx, id, 1, amount, card)
}

// ChargeAgain counts the call and charges the card, unless a fault is set.
func (p *FakeProvider) ChargeAgain(ctx context.Context, id order.ID, attempt int, amount order.Money, card payment.Card) (payment.Outcome, error) {
	p.Charges.Add(1)
	if p.During != nil {
		p.During()
	}
	if p.Down.Load() || p.Silent.Load() {
		return payment.Outcome{}, ErrDown
	}
	outcome, err := p.Provider.ChargeAgain(ctx, id, attempt, amount, card)
	if p.After != nil {
		p.After()
	}
	if p.Lost.Load() {
		return payment.Outcome{}, ErrDown
	}
	return outcome, err
}

// Find returns the outcome of the last charge, unless Silent is set.
func (p *FakeProvider) Find(ctx context.Context, id order.ID) (payment.Outcome, bool, error) {
	if p.Silent.Load() {
		return payment.Outcome{}, false, ErrDown
	}
	return p.Provider.Find(ctx, id)
}

// Refund counts the call and refunds, unless a fault is set.
func (p *FakeProvider) Refund(ctx context.Context, id order.ID, refundID string, amount order.Money) error {
	n := p.Refunds.Add(1)
	if p.Failing.Load() || p.Flapping.Load() && n%2 == 1 {
		return ErrDown
	}
	return p.Provider.Refund(ctx, id, refundID, amount)
}
