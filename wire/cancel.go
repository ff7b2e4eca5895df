package wire

import (
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

var cancelCodeToWire = map[order.CancelCode]spillwayv1.CancelCode{
	order.CancelDeclined:       spillwayv1.CancelCode_CANCEL_CODE_CARD_DECLINED,
	order.CancelDuplicate:      spillwayv1.CancelCode_CANCEL_CODE_DUPLICATE,
	order.CancelExpired:        spillwayv1.CancelCode_CANCEL_CODE_EXPIRED,
	order.CancelPaymentUnknown: spillwayv1.CancelCode_CANCEL_CODE_PAYMENT_UNKNOWN,
	order.CancelPaymentVoided:  spillwayv1.CancelCode_CANCEL_CODE_PAYMENT_VOIDED,
	order.CancelLost:           spillwayv1.CancelCode_CANCEL_CODE_LOST,
	order.CancelChargedLate:    spillwayv1.CancelCode_CANCEL_CODE_CHARGED_LATE,
	order.CancelByCustomer:     spillwayv1.CancelCode_CANCEL_CODE_BY_CUSTOMER,
	order.CancelByShop:         spillwayv1.CancelCode_CANCEL_CODE_BY_SHOP,
}

// CancelCode converts a code to its message; an unknown one becomes UNSPECIFIED.
func CancelCode(c order.CancelCode) spillwayv1.CancelCode { return cancelCodeToWire[c] }

// fromCancelCode converts a message to its code. UNSPECIFIED, and codes unknown to this version, become the empty code.
func fromCancelCode(c spillwayv1.CancelCode) order.CancelCode {
	for domain, msg := range cancelCodeToWire {
		if msg == c {
			return domain
		}
	}
	return ""
}

// carriesReason is a message with a cancel reason.
type carriesReason interface {
	GetCancelCode() spillwayv1.CancelCode
	GetDuplicateOf() string
	GetDeclineCode() string
}

// cancelReason reads a message's reason. The reason of older versions, which had no code, is parsed from their text.
func cancelReason(text string, m carriesReason) order.CancelReason {
	if m.GetCancelCode() == spillwayv1.CancelCode_CANCEL_CODE_UNSPECIFIED {
		return order.ParseCancelReason(text)
	}
	return order.CancelReason{
		Code: fromCancelCode(m.GetCancelCode()), DuplicateOf: order.ID(m.GetDuplicateOf()), DeclineCode: m.GetDeclineCode(), Text: text,
	}
}

// SetReason sets the reason of an event.
func SetReason(m *spillwayv1.OrderEvent, r order.CancelReason) {
	m.Detail, m.CancelCode, m.DuplicateOf, m.DeclineCode = r.Text, CancelCode(r.Code), string(r.DuplicateOf), r.DeclineCode
}
