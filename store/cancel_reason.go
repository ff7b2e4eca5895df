package store

import "github.com/spillway/spillway/order"

// reasonColumns are the columns of a cancel reason but its text, which is called differently from table to table.
const reasonColumns = "cancel_code, duplicate_of, decline_code"

// The lengths of the columns, in characters.
const (
	maxReason      = 255
	maxDeclineCode = 64
)

// reasonValues are the values of the reasonColumns and, last, of the text.
func reasonValues(r order.CancelReason) []any {
	return []any{r.Code, r.DuplicateOf, truncate(r.DeclineCode, maxDeclineCode), truncate(r.Text, maxReason)}
}

// reasonFields are where the reasonColumns and, last, the text are read to.
func reasonFields(r *order.CancelReason) []any {
	return []any{&r.Code, &r.DuplicateOf, &r.DeclineCode, &r.Text}
}

// withCode finds the code of a row of a version that kept only the text.
func withCode(r order.CancelReason) order.CancelReason {
	if r.Code == "" {
		return order.ParseCancelReason(r.Text)
	}
	return r
}
