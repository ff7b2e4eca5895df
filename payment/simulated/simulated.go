package simulated

import (
	"context"
	"fmt"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
)

// replaces says whether the outcome of a later attempt may take the place of an earlier one.
func replaces(o, earlier payment.Outcome) bool {
	return !earlier.Succeeded && o.Attempt > earlier.Attempt
}

// payment.Card numbers of the simulated provider with an outcome of their own:
//
//	4000 0000 0000 0002   declined: generic_decline
//	4000 0000 0000 9995   declined: insufficient_funds
//	4000 0000 0000 9987   declined: lost_card
//	4000 0000 0000 9979   declined: stolen_card
//	4000 0000 0000 0069   declined: expired_card
//	4000 0000 0000 0127   declined: incorrect_cvc
//	4000 0000 0000 0119   declined: processing_error
//	4000 0000 0000 0077   succeeds after slowCharge
//	4000 0000 0000 0259   never answers, and nothing is charged
//	4000 0000 0000 0341   is charged, but the answer is lost; Find and a second Charge know it
//	4000 0000 0000 0036   the provider is down: an error at once, and nothing is charged
//
// Every other number succeeds, such as 4242 4242 4242 4242, 5555 5555 5555 4444, 3782 822463 10005 and Online Boutique's
// 4432 8015 6152 0454; but one whose check digit is wrong is declined as incorrect_number, and an expired card as expired_card.
const (
	cardDeclined          = "4000000000000002"
	cardInsufficientFunds = "4000000000009995"
	cardLost              = "4000000000009987"
	cardStolen            = "4000000000009979"
	cardExpired           = "4000000000000069"
	cardIncorrectCVC      = "4000000000000127"
	cardProcessingError   = "4000000000000119"
	cardSlow              = "4000000000000077"
	cardNoAnswer          = "4000000000000259"
	cardAnswerLost        = "4000000000000341"
	cardProviderDown      = "4000000000000036"
)

var declineCodes = map[string]string{
	cardDeclined: "generic_decline", cardInsufficientFunds: "insufficient_funds", cardLost: "lost_card", cardStolen: "stolen_card",
	cardExpired: "expired_card", cardIncorrectCVC: "incorrect_cvc", cardProcessingError: "processing_error",
}

// slowCharge is how long the slow card takes: well within the 3 s that a charge may take.
const slowCharge = 1500 * time.Millisecond

// Provider is a provider for trying, testing and load: it takes no money.
type Provider struct {
	// ThinkTime is how long every charge takes, beside what its card asks for; none unless set before the first one.
	ThinkTime time.Duration

	flap     time.Duration // see FlapEvery
	now      func() time.Time
	sleep    func(ctx context.Context, d time.Duration) error
	outcomes outcomes
}

// outcomes are what a simulated provider remembers.
type outcomes interface {
	// keep stores the first outcome of each attempt of an order, unless a later attempt or one that took the money is stored. It
	// returns the outcome that is stored then.
	keep(ctx context.Context, id order.ID, o payment.Outcome) (payment.Outcome, error)
	find(ctx context.Context, id order.ID) (payment.Outcome, bool, error)
	// refund notes once a refund id that the amount went back; of an order that is not there, or of which nothing is left, nothing.
	refund(ctx context.Context, id order.ID, refundID string, amount order.Cents) error
	list(ctx context.Context, after order.ID, limit int) ([]payment.StatementLine, error)
	close() error
}

// New makes a provider whose memory ends with the process.
func New() *Provider {
	return newProvider(newRecentOutcomes())
}

func newProvider(o outcomes) *Provider { return &Provider{now: time.Now, sleep: sleep, outcomes: o} }

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Charge does what the card's number says.
func (s *Provider) Charge(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (payment.Outcome, error) {
	return s.ChargeAgain(ctx, id, 1, amount, card)
}

// ChargeAgain does what the card's number says, once an attempt.
func (s *Provider) ChargeAgain(ctx context.Context, id order.ID, attempt int, amount order.Money, card payment.Card) (payment.Outcome, error) {
	outcome := payment.Outcome{Amount: amount, Attempt: attempt}
	if seen, ok, err := s.Find(ctx, id); err != nil || ok && !replaces(outcome, seen) {
		return seen, err
	}
	if s.ThinkTime > 0 {
		if err := s.sleep(ctx, s.ThinkTime); err != nil {
			return payment.Outcome{}, fmt.Errorf("charge %s: %w", id, err)
		}
	}
	switch card.Number() {
	case cardSlow:
		if err := s.sleep(ctx, slowCharge); err != nil {
			return payment.Outcome{}, fmt.Errorf("charge %s: %w", id, err)
		}
	case cardNoAnswer:
		<-ctx.Done()
		return payment.Outcome{}, fmt.Errorf("charge %s: %w", id, ctx.Err())
	case cardAnswerLost:
		outcome.Succeeded = true
		if _, err := s.outcomes.keep(ctx, id, outcome); err != nil {
			return payment.Outcome{}, err
		}
		<-ctx.Done()
		return payment.Outcome{}, fmt.Errorf("charge %s: %w", id, ctx.Err())
	case cardProviderDown:
		return payment.Outcome{}, fmt.Errorf("charge %s: the provider is down: %w", id, order.ErrUnavailable)
	}
	outcome.DeclineCode = s.declineCode(card)
	outcome.Succeeded = outcome.DeclineCode == ""
	return s.outcomes.keep(ctx, id, outcome)
}

// declineCode is why the card is refused, or empty.
func (s *Provider) declineCode(card payment.Card) string {
	code, special := declineCodes[card.Number()]
	switch {
	case special:
		return code
	case !luhn(card.Number()):
		return "incorrect_number"
	case card.Expired(s.now()):
		return declineCodes[cardExpired]
	}
	return ""
}

// Find says what became of a charge.
func (s *Provider) Find(ctx context.Context, id order.ID) (payment.Outcome, bool, error) {
	if err := s.down(id); err != nil {
		return payment.Outcome{}, false, err
	}
	return s.outcomes.find(ctx, id)
}

// Refund gives the money back. One that it does not remember (any more) is given back all the same: the ledger knows.
func (s *Provider) Refund(ctx context.Context, id order.ID, refundID string, amount order.Money) error {
	if err := s.down(id); err != nil {
		return err
	}
	return s.outcomes.refund(ctx, id, refundID, amount.Amount)
}

// Statement lists what it remembers.
func (s *Provider) Statement(ctx context.Context, after order.ID, limit int) ([]payment.StatementLine, error) {
	return s.outcomes.list(ctx, after, limit)
}

// giveBack is the outcome after a refund of the amount. It is order.ErrFailedPrecondition when less is left.
func giveBack(o payment.Outcome, amount order.Cents) (payment.Outcome, error) {
	left := o.Amount.Amount - o.Returned
	switch {
	case !o.Succeeded || left == 0:
		return o, nil
	case amount > left:
		return o, fmt.Errorf("the provider has %d left of the charge, less than %d: %w", left, amount, order.ErrFailedPrecondition)
	}
	o.Returned += amount
	o.Refunded = o.Returned == o.Amount.Amount
	return o, nil
}

// Close closes the file, if there is one.
func (s *Provider) Close() error { return s.outcomes.close() }

// luhn reports whether the digits add up as a card number's must.
func luhn(number string) bool {
	sum := 0
	for i := range len(number) {
		d := int(number[len(number)-1-i] - '0')
		if d < 0 || d > 9 {
			return false
		}
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return len(number) > 0 && sum%10 == 0
}
