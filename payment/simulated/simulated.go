package simulated

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/pause"
	"github.com/spillway/spillway/payment"
)

// replaces reports whether the outcome of an attempt replaces the stored one: only a later attempt replaces, and only a decline.
func replaces(o, earlier payment.Outcome) bool {
	return !earlier.Succeeded && o.Attempt > earlier.Attempt
}

// Card numbers with an outcome of their own:
//
//	4000 0000 0000 0002   declined: generic_decline
//	4000 0000 0000 9995   declined: insufficient_funds
//	4000 0000 0000 9987   declined: lost_card
//	4000 0000 0000 9979   declined: stolen_card
//	4000 0000 0000 0069   declined: expired_card
//	4000 0000 0000 0127   declined: incorrect_cvc
//	4000 0000 0000 0119   declined: processing_error
//	4000 0000 0000 0077   succeeds after slowCharge
//	4000 0000 0000 0259   no response, and the card is not charged
//	4000 0000 0000 0341   the card is charged, but the response is lost; Find and a second Charge return the outcome
//	4000 0000 0000 0036   the provider is down: an error at once, and the card is not charged
//
// Every other number succeeds, such as 4242 4242 4242 4242, 5555 5555 5555 4444, 3782 822463 10005 and Online Boutique's
// 4432 8015 6152 0454. A number with a wrong check digit is declined as incorrect_number, and an expired card as expired_card.
const (
	cardDeclined          = "4000000000000002"
	cardInsufficientFunds = "4000000000009995"
	cardLost              = "4000000000009987"
	cardStolen            = "4000000000009979"
	cardExpired           = "4000000000000069"
	cardIncorrectCVC      = "4000000000000127"
	cardProcessingError   = "4000000000000119"
	cardSlow              = "4000000000000077"
	cardNoResponse        = "4000000000000259"
	cardResponseLost      = "4000000000000341"
	cardProviderDown      = "4000000000000036"
)

// declineCodes holds the decline code of each card number that is declined.
var declineCodes = map[string]string{
	cardDeclined: "generic_decline", cardInsufficientFunds: "insufficient_funds", cardLost: "lost_card", cardStolen: "stolen_card",
	cardExpired: "expired_card", cardIncorrectCVC: "incorrect_cvc", cardProcessingError: "processing_error",
}

// slowCharge is the duration of a charge of cardSlow. It is less than the 3 s timeout of charges.
const slowCharge = 1500 * time.Millisecond

// Provider implements payment.Provider and payment.Statement without moving money. It is safe for concurrent use.
type Provider struct {
	// ThinkTime is added to the duration of every charge. It must be set before the first charge.
	ThinkTime time.Duration

	flap     time.Duration // see FlapEvery
	now      func() time.Time
	sleep    func(ctx context.Context, d time.Duration) error
	outcomes outcomes

	mode atomic.Pointer[Mode] // nil is OK
	late atomic.Int64         // a time.Duration; see SetLate

	mu          sync.Mutex
	lateCharges map[*time.Timer]bool // that are still to be made
	closed      bool
	running     sync.WaitGroup // late charges
}

// outcomes stores the outcomes of a simulated provider. Implementations are safe for concurrent use.
type outcomes interface {
	// keep stores the outcome of an attempt, unless the same or a later attempt or a success is stored. It returns the outcome that is
	// stored then.
	keep(ctx context.Context, id order.ID, o payment.Outcome) (payment.Outcome, error)
	// find returns the outcome of an order, and false if none is stored.
	find(ctx context.Context, id order.ID) (payment.Outcome, bool, error)
	// refund stores a refund, once for each refund id. It does nothing for an unknown order, or one with nothing left to refund.
	// It returns order.ErrFailedPrecondition if less than the amount is left.
	refund(ctx context.Context, id order.ID, refundID string, amount order.Cents) error
	// list returns up to limit outcomes of orders with ids greater than after, by order id.
	list(ctx context.Context, after order.ID, limit int) ([]payment.StatementLine, error)
	close() error
}

// New returns a provider that stores its outcomes in memory.
func New() *Provider {
	return newProvider(newRecentOutcomes())
}

// newProvider returns a provider with the clock of the machine.
func newProvider(o outcomes) *Provider {
	return &Provider{now: time.Now, sleep: pause.For, outcomes: o}
}

// Charge makes attempt 1 for the order. The card's number decides the outcome. It is idempotent by order id, and returns order.ErrUnavailable
// if the provider is down, or the error of ctx if that ends first.
func (s *Provider) Charge(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (payment.Outcome, error) {
	return s.ChargeAgain(ctx, id, 1, amount, card)
}

// ChargeAgain makes an attempt for the order, once for each attempt number. It returns the stored outcome if the order is charged already.
func (s *Provider) ChargeAgain(ctx context.Context, id order.ID, attempt int, amount order.Money, card payment.Card) (payment.Outcome, error) {
	outcome := payment.Outcome{Amount: amount, Attempt: attempt}
	if err := s.respond(ctx, id); err != nil {
		return payment.Outcome{}, err
	}
	if seen, ok, err := s.outcomes.find(ctx, id); err != nil || ok && !replaces(outcome, seen) {
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
	case cardNoResponse:
		<-ctx.Done()
		return payment.Outcome{}, fmt.Errorf("charge %s: %w", id, ctx.Err())
	case cardResponseLost:
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
	return s.record(ctx, id, outcome)
}

// declineCode returns the reason for a decline of the card, or an empty string.
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

// Find returns the outcome of the last attempt of an order, and false if none is stored.
func (s *Provider) Find(ctx context.Context, id order.ID) (payment.Outcome, bool, error) {
	if err := s.respond(ctx, id); err != nil {
		return payment.Outcome{}, false, err
	}
	return s.outcomes.find(ctx, id)
}

// Refund refunds the amount, once for each refund id. It returns nil for an unknown order, because old outcomes are dropped from memory. It
// returns order.ErrFailedPrecondition if less than the amount is left.
func (s *Provider) Refund(ctx context.Context, id order.ID, refundID string, amount order.Money) error {
	if err := s.respond(ctx, id); err != nil {
		return err
	}
	return s.outcomes.refund(ctx, id, refundID, amount.Amount)
}

// Statement returns up to limit stored outcomes of orders with ids greater than after, by order id.
func (s *Provider) Statement(ctx context.Context, after order.ID, limit int) ([]payment.StatementLine, error) {
	return s.outcomes.list(ctx, after, limit)
}

// refunded returns the outcome after a refund of the amount. It returns order.ErrFailedPrecondition if less is left.
func refunded(o payment.Outcome, amount order.Cents) (payment.Outcome, error) {
	left := o.Amount.Amount - o.Returned
	switch {
	case !o.Succeeded || left == 0:
		return o, nil
	case amount > left:
		return o, fmt.Errorf("refund of %d exceeds the %d that are left of the charge: %w", amount, left, order.ErrFailedPrecondition)
	}
	o.Returned += amount
	o.Refunded = o.Returned == o.Amount.Amount
	return o, nil
}

// Close drops the charges of Late that were not made yet, and closes the file, if there is one. The provider must not be used after it.
func (s *Provider) Close() error {
	s.stopLate()
	return s.outcomes.close()
}

// luhn reports whether the number consists of digits with a valid check digit (ISO/IEC 7812-1).
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
