package store

import "github.com/spillway/spillway/order"

// reasonColumns are the columns of a cancel reason but its text, which is called differently from table to table.
const reasonColumns = "cancel_code, duplicate_of, decline_code"

// The lengths of the columns, in characters.
const (
	maxReason      = 255
	maxDeclineCode = 64
)

// reasonSetter is an ent builder of a table with the reasonColumns.
type reasonSetter[B any] interface {
	SetCancelCode(code string) B
	SetDuplicateOf(id string) B
	SetDeclineCode(code string) B
}

// setReason sets the reasonColumns. The text is set by the caller.
func setReason[B reasonSetter[B]](b B, r order.CancelReason) B {
	b.SetCancelCode(string(r.Code))
	b.SetDuplicateOf(string(r.DuplicateOf))
	return b.SetDeclineCode(truncate(r.DeclineCode, maxDeclineCode))
}

// reasonValues are the values of the reasonColumns and, last, of the text.
func reasonValues(r order.CancelReason) []any {
	return []any{r.Code, r.DuplicateOf, truncate(r.DeclineCode, maxDeclineCode), truncate(r.Text, maxReason)}
}

// toReason makes the reason of a row. One of a version that kept only the text has its code found in that.
func toReason(code, duplicateOf, declineCode, text string) order.CancelReason {
	if code == "" {
		return order.ParseCancelReason(text)
	}
	return order.CancelReason{Code: order.CancelCode(code), DuplicateOf: order.ID(duplicateOf), DeclineCode: declineCode, Text: text}
}
