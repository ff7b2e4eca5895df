package onlineboutique

import (
	"context"
	"crypto/rand"

	"github.com/spillway/spillway/gen/hipstershop"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/wire"
)

// payments is the PaymentService.
type payments struct{ Shop }

// Charge checks the amount and the card, and takes no money: there is no order that the charge belongs to, and a charge without an order is one
// that the shop would refund.
func (p payments) Charge(ctx context.Context, req *hipstershop.ChargeRequest) (*hipstershop.ChargeResponse, error) {
	amount, err := wire.FromMoney(roundedMoney(req.GetAmount()))
	if err == nil && amount.Amount < 0 {
		err = order.Refuse(order.ErrInvalid, order.ReasonInvalidField, "an amount of %s cannot be charged", amount)
	}
	if err != nil {
		return nil, order.InField("amount", err)
	}
	card := cardOf(req.GetCreditCard())
	if err := server.CheckRequest(card); err != nil {
		return nil, err
	}
	if err := p.checkCard(card); err != nil {
		return nil, err
	}
	p.withoutOrder(ctx, "PaymentService/Charge took no money")
	return &hipstershop.ChargeResponse{TransactionId: "unbooked-" + rand.Text()}, nil
}

// checkCard refuses a card that no provider accepts.
func (p payments) checkCard(card *spillwayv1.Card) error {
	c := payment.NewCard(card.GetNumber(), card.GetCvv(), int(card.GetExpiryYear()), int(card.GetExpiryMonth()))
	switch {
	case c.Expired(p.Now()):
		return declined("expired_card")
	case !hasCheckDigit(c.Number()):
		return declined("incorrect_number")
	}
	return nil
}

// hasCheckDigit reports whether the last of the digits is the check digit of the others (ISO/IEC 7812-1).
func hasCheckDigit(digits string) bool {
	sum := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// declined is the refusal of a card, with the code that Online Boutique's payment service has for it.
func declined(code string) error {
	return order.Refuse(order.ErrInvalid, order.ReasonPaymentDeclined, "the card was declined (%s): use another one", code).With("declineCode", code)
}
