package order

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The classes of failure, one sentinel each. The server translates each of them to a Connect code at its edge. Only
// ErrUnavailable, ErrRejected and ErrUnknownOutcome count as failures of a dependency and trip a breaker; the others
// are valid results.
var (
	// ErrInvalid means that the request can never be accepted as it is.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound means that the object does not exist or is not visible to the caller.
	ErrNotFound = errors.New("not found")
	// ErrAlreadyExists means that an object with this name exists already, with different content.
	ErrAlreadyExists = errors.New("already exists")
	// ErrKeyReused means that the idempotency key was already used with a different request.
	ErrKeyReused = errors.New("the idempotency key was already used with another request")
	// ErrFailedPrecondition means that the order's state does not allow the step.
	ErrFailedPrecondition = errors.New("the state does not allow this")
	// ErrOverloaded means that a limit was reached and nothing was done. Retry the same request after a pause.
	ErrOverloaded = errors.New("too many orders at once")
	// ErrUnavailable means that a dependency is not reachable. Retry the same request after a pause.
	ErrUnavailable = errors.New("temporarily unavailable")
	// ErrRatesTooOld means that an amount was not converted because the exchange rates are out of date.
	ErrRatesTooOld = errors.New("the exchange rates are out of date")
	// ErrRejected means that an external service confirmed that it did nothing. A retry may succeed.
	ErrRejected = errors.New("refused")
	// ErrNotSent means that a call was not made, because its dependency is known to be unavailable. It had no effect and
	// does not count as an attempt. It accompanies ErrUnavailable.
	ErrNotSent = errors.New("not sent")
	// ErrUnknownOutcome means that the step may or may not have taken effect. Query the outcome before you retry.
	ErrUnknownOutcome = errors.New("outcome unknown")
)

// Shortage is a SKU with too little stock for an order, with the requested and the available units.
type Shortage struct {
	SKU                  SKU
	Requested, Available int64
}

// SoldOutError lists the SKUs that are short. The order took no unit of any line.
type SoldOutError struct{ Shortages []Shortage }

// Error lists each SKU with its requested and available units.
func (e *SoldOutError) Error() string {
	parts := make([]string, len(e.Shortages))
	for i, s := range e.Shortages {
		parts[i] = fmt.Sprintf("%s: %d asked for, %d left", s.SKU, s.Requested, s.Available)
	}
	return "sold out: " + strings.Join(parts, "; ")
}

// DeclinedError reports that the payment provider declined the card.
type DeclinedError struct {
	OrderID ID
	// Code is the provider's reason, such as "insufficient_funds".
	Code string
	// PayUntil is the time until which the order can be paid with another card; zero when the order is cancelled and
	// its stock released.
	PayUntil time.Time
}

// Error includes the provider's reason.
func (e *DeclinedError) Error() string { return "card declined: " + e.Code }

// PriceChangedError reports that an order's total differs from the total that the customer agreed to. Nothing was
// reserved or charged.
type PriceChangedError struct{ Expected, Actual Money }

// Error includes both totals.
func (e *PriceChangedError) Error() string {
	return fmt.Sprintf("the total is %s, not %s: ask the customer, and send the request again with the new expectedTotal", e.Actual, e.Expected)
}

// RatesTooOldError reports that the exchange rates exceed the maximum age. It wraps ErrRatesTooOld and ErrUnavailable.
type RatesTooOldError struct {
	// Date is the day of the rates, as YYYY-MM-DD.
	Date string
	// MaxAge is the maximum age.
	MaxAge time.Duration
}

// Error includes the day and the maximum age.
func (e *RatesTooOldError) Error() string {
	return fmt.Sprintf(
		"the exchange rates of %s are older than %s: only prices in the catalogue's own currency can be used until newer ones are loaded",
		e.Date,
		e.MaxAge,
	)
}

// Unwrap returns both sentinels, for errors.Is.
func (*RatesTooOldError) Unwrap() []error { return []error{ErrRatesTooOld, ErrUnavailable} }

// RetryError wraps ErrOverloaded or ErrUnavailable with the time to wait.
type RetryError struct {
	// After is the time to wait before the same request is sent again.
	After time.Duration
	// Err describes what is overloaded or unavailable.
	Err error
}

// Error returns the wrapped error's text.
func (e *RetryError) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *RetryError) Unwrap() error { return e.Err }
