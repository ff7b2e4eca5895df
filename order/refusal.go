package order

import (
	"fmt"
	"maps"
)

// Reason names why a request is refused, for programs. Reasons are part of the API and never change; docs/errors.md explains each.
type Reason string

// Reasons of requests that can never be accepted as they are.
const (
	ReasonInvalidField           Reason = "INVALID_FIELD"
	ReasonMalformedBody          Reason = "MALFORMED_BODY"
	ReasonBodyTooLarge           Reason = "BODY_TOO_LARGE"
	ReasonUnsupportedContentType Reason = "UNSUPPORTED_CONTENT_TYPE"
	ReasonUnsupportedCurrency    Reason = "UNSUPPORTED_CURRENCY"
	ReasonCartFull               Reason = "CART_FULL"
	ReasonGuestTokenInvalid      Reason = "GUEST_TOKEN_INVALID" //nolint:gosec // It is a reason.
)

// Reasons of calls that the caller may not make, or that are not served.
const (
	ReasonTokenMissing       Reason = "TOKEN_MISSING"
	ReasonTokenInvalid       Reason = "TOKEN_INVALID"
	ReasonRoleRequired       Reason = "ROLE_REQUIRED"
	ReasonLoginRequired      Reason = "LOGIN_REQUIRED"
	ReasonProcedureNotServed Reason = "PROCEDURE_NOT_SERVED"
)

// Reasons of what is missing, or exists with another content.
const (
	ReasonNotFound             Reason = "NOT_FOUND"
	ReasonProductNotFound      Reason = "PRODUCT_NOT_FOUND"
	ReasonOrderNotFound        Reason = "ORDER_NOT_FOUND"
	ReasonShipmentNotFound     Reason = "SHIPMENT_NOT_FOUND"
	ReasonDeadLetterNotFound   Reason = "DEAD_LETTER_NOT_FOUND"
	ReasonAlreadyExists        Reason = "ALREADY_EXISTS"
	ReasonProductExists        Reason = "PRODUCT_EXISTS"
	ReasonAdjustmentExists     Reason = "ADJUSTMENT_EXISTS"
	ReasonIdempotencyKeyReused Reason = "IDEMPOTENCY_KEY_REUSED"
)

// Reasons of what the state does not allow.
const (
	ReasonFailedPrecondition Reason = "FAILED_PRECONDITION"
	ReasonSoldOut            Reason = "SOLD_OUT"
	ReasonPaymentDeclined    Reason = "PAYMENT_DECLINED"
	ReasonPriceChanged       Reason = "PRICE_CHANGED"
	ReasonUnitLimitExceeded  Reason = "UNIT_LIMIT_EXCEEDED"
	ReasonCartEmpty          Reason = "CART_EMPTY"
	ReasonProductArchived    Reason = "PRODUCT_ARCHIVED"
	ReasonSaleNotStarted     Reason = "SALE_NOT_STARTED"
	ReasonOrderCancelled     Reason = "ORDER_CANCELLED"
	ReasonOrderExpired       Reason = "ORDER_EXPIRED"
	ReasonOrderShipped       Reason = "ORDER_SHIPPED"
	ReasonOrderNotPaid       Reason = "ORDER_NOT_PAID"
	ReasonRefundTooLarge     Reason = "REFUND_TOO_LARGE"
	ReasonCancelInstead      Reason = "CANCEL_INSTEAD"
	ReasonNothingToRefund    Reason = "NOTHING_TO_REFUND"
	ReasonDeadLetterClosed   Reason = "DEAD_LETTER_CLOSED"
	ReasonDeadLetterEdited   Reason = "DEAD_LETTER_EDITED"
	ReasonAuditTooLong       Reason = "AUDIT_TOO_LONG"
	ReasonGuestClaimed       Reason = "GUEST_CLAIMED"
	ReasonTooManyGuests      Reason = "TOO_MANY_GUESTS"
)

// Reasons of what may succeed later, or when it is sent again.
const (
	ReasonOverloaded        Reason = "OVERLOADED"
	ReasonLimitExceeded     Reason = "LIMIT_EXCEEDED"
	ReasonTooManyCalls      Reason = "TOO_MANY_CALLS"
	ReasonTooManyWatchers   Reason = "TOO_MANY_WATCHERS"
	ReasonJournalFull       Reason = "JOURNAL_FULL"
	ReasonSearchTooSlow     Reason = "SEARCH_TOO_SLOW"
	ReasonAuditRunning      Reason = "AUDIT_RUNNING"
	ReasonUnavailable       Reason = "UNAVAILABLE"
	ReasonReserveSoldOut    Reason = "RESERVE_SOLD_OUT"
	ReasonRatesTooOld       Reason = "RATES_TOO_OLD"
	ReasonIssuerUnavailable Reason = "ISSUER_UNAVAILABLE"
	ReasonNotDurableYet     Reason = "NOT_DURABLE_YET"
	ReasonOrderBeingShipped Reason = "ORDER_BEING_SHIPPED"
	ReasonServerStopping    Reason = "SERVER_STOPPING"
	ReasonStreamExpired     Reason = "STREAM_EXPIRED"
	ReasonSlowReader        Reason = "SLOW_READER"
	ReasonRejected          Reason = "REJECTED"
	ReasonDeadlineExceeded  Reason = "DEADLINE_EXCEEDED"
	ReasonCanceled          Reason = "CANCELED"
	ReasonInternal          Reason = "INTERNAL"
)

// RefusalError is an error with a reason and a text for the caller. It belongs to the error class that it wraps.
type RefusalError struct {
	Reason Reason
	// Metadata are the values that the text contains, by lowerCamelCase name, such as "sku".
	Metadata map[string]string
	class    error
	text     string
}

// Refuse returns an error of the class, one of this package's Err variables, for the reason. The text is for the caller: it contains no
// secret, and not the text of an error of a dependency.
func Refuse(class error, reason Reason, format string, args ...any) *RefusalError {
	return &RefusalError{Reason: reason, class: class, text: fmt.Sprintf(format, args...)}
}

// ProductNotFound returns the ErrNotFound of a SKU.
func ProductNotFound(sku SKU) error {
	return Refuse(ErrNotFound, ReasonProductNotFound, "there is no product %s", sku).With("sku", string(sku))
}

// ReserveSoldOut returns the ErrUnavailable of a SKU of which only a reserve is sold for the moment, because the stock counters are unavailable.
func ReserveSoldOut(sku SKU) error {
	return Refuse(ErrUnavailable, ReasonReserveSoldOut, "the units of %s that are sold while the stock counters are unavailable are gone; "+
		"send the same request again later, with the same idempotency key", sku).With("sku", string(sku))
}

// KeyReused returns the ErrKeyReused of an idempotency key with which the customer's order was made by another request.
func KeyReused(id ID) error {
	return Refuse(
		ErrKeyReused,
		ReasonIdempotencyKeyReused,
		"the idempotency key was already used with another request, for order %s",
		id,
	).With("orderId", string(id))
}

// GuestClaimed returns the ErrFailedPrecondition of an order that a claimed guest places.
func GuestClaimed() error {
	return Refuse(ErrFailedPrecondition, ReasonGuestClaimed,
		"a customer has claimed the orders of this guest, who places no further ones: place it as the customer, or start a new guest session")
}

// With returns a copy of the error with one more value in its metadata.
func (e *RefusalError) With(key, value string) *RefusalError {
	out := *e
	out.Metadata = make(map[string]string, len(e.Metadata)+1)
	maps.Copy(out.Metadata, e.Metadata)
	out.Metadata[key] = value
	return &out
}

// Error is the text alone.
func (e *RefusalError) Error() string { return e.text }

// Unwrap lets errors.Is see the class.
func (e *RefusalError) Unwrap() error { return e.class }
