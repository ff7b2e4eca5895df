package order

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The answers that are not an order. They are answers, not failures: they trip no breaker (ErrUnavailable, ErrRejected and
// ErrUnknownOutcome do, because somebody did not work), and each is translated to its code at the one edge of the server.
var (
	// ErrInvalid means that the caller sent something that can never be accepted.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound means that there is no such thing, or none that the caller may see.
	ErrNotFound = errors.New("not found")
	// ErrAlreadyExists means that it is there already, with another content.
	ErrAlreadyExists = errors.New("already exists")
	// ErrKeyReused means that the idempotency key was sent before with another request.
	ErrKeyReused = errors.New("the idempotency key was already used with another request")
	// ErrFailedPrecondition means that the order's state does not allow the step.
	ErrFailedPrecondition = errors.New("the state does not allow this")
	// ErrOverloaded means that a bound was reached; nothing was done. Wait and send the same again.
	ErrOverloaded = errors.New("too many orders at once")
	// ErrUnavailable means that a part that is needed does not answer. Wait and send the same again.
	ErrUnavailable = errors.New("temporarily unavailable")
	// ErrRatesTooOld means that an amount was not converted, because the exchange rates are out of date.
	ErrRatesTooOld = errors.New("the exchange rates are out of date")
	// ErrRejected means that an outside party answered that it did not do it: nothing happened, and a later try may work.
	ErrRejected = errors.New("refused")
	// ErrUnknownOutcome means that the step may or may not have happened: ask before doing it again.
	ErrUnknownOutcome = errors.New("outcome unknown")
)

// Shortage is one SKU that fell short.
type Shortage struct {
	SKU                  SKU
	Requested, Available int64
}

// SoldOutError says which SKUs fell short. No unit of any line was taken.
type SoldOutError struct{ Shortages []Shortage }

// Error lists the SKUs.
func (e *SoldOutError) Error() string {
	parts := make([]string, len(e.Shortages))
	for i, s := range e.Shortages {
		parts[i] = fmt.Sprintf("%s: %d asked for, %d left", s.SKU, s.Requested, s.Available)
	}
	return "sold out: " + strings.Join(parts, "; ")
}

// DeclinedError says that the payment provider refused the card.
type DeclinedError struct {
	OrderID ID
	// Code is the provider's reason, such as "insufficient_funds".
	Code string
	// PayUntil is until when the order can be paid with another card; zero when the order is cancelled and its stock is given back.
	PayUntil time.Time
}

// Error names the reason.
func (e *DeclinedError) Error() string { return "card declined: " + e.Code }

// PriceChangedError says that an order costs something else than its customer agreed to. Nothing was reserved or charged.
type PriceChangedError struct{ Expected, Actual Money }

// Error names both totals.
func (e *PriceChangedError) Error() string {
	return fmt.Sprintf("the total is %s, not %s: ask the customer, and send the request again with the new expectedTotal", e.Actual, e.Expected)
}

// RatesTooOldError says that the exchange rates are older than the limit. It is ErrRatesTooOld and ErrUnavailable.
type RatesTooOldError struct {
	// Date is the day of the rates, as YYYY-MM-DD.
	Date string
	// MaxAge is the limit.
	MaxAge time.Duration
}

// Error names the day and the limit.
func (e *RatesTooOldError) Error() string {
	return fmt.Sprintf("the exchange rates of %s are older than %s: only prices in the catalogue's own currency can be used until newer ones are loaded", e.Date, e.MaxAge)
}

// Unwrap lets errors.Is see both.
func (*RatesTooOldError) Unwrap() []error { return []error{ErrRatesTooOld, ErrUnavailable} }

// RetryError wraps ErrOverloaded or ErrUnavailable with the time to wait.
type RetryError struct {
	// After is how long to wait before the same request is sent again.
	After time.Duration
	// Err says what was busy or missing.
	Err error
}

// Error is the wrapped error's text.
func (e *RetryError) Error() string { return e.Err.Error() }

// Unwrap lets errors.Is see the cause.
func (e *RetryError) Unwrap() error { return e.Err }
