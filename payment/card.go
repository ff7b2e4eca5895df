package payment

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

// Card is a payment card on its way to the provider. Nothing prints it: not fmt, not slog, not json (I13). What it holds is
// in a closure, because fmt prints what is in the unexported field of a struct without asking for its Format, and even what a
// pointer there points to when the verb does not fit. Of a func it prints the address.
type Card struct{ secret func() cardSecret }

type cardSecret struct {
	number, cvv string
	year, month int
}

// redacted stands for a card wherever one would be printed.
const redacted = "[card]"

// NewCard makes a card; spaces and dashes in the number are dropped.
func NewCard(number, cvv string, year, month int) Card {
	held := cardSecret{number: strings.NewReplacer(" ", "", "-", "").Replace(number), cvv: cvv, year: year, month: month}
	return Card{func() cardSecret { return held }}
}

// open is what the card holds; the zero Card holds nothing.
func (c Card) open() cardSecret {
	if c.secret == nil {
		return cardSecret{}
	}
	return c.secret()
}

// Number is the digits. It is for the provider only.
func (c Card) Number() string { return c.open().number }

// CVV is the code on the card. It is for the provider only.
func (c Card) CVV() string { return c.open().cvv }

// Expiry is the last month in which the card is good.
func (c Card) Expiry() (year, month int) { return c.open().year, c.open().month }

// Expired says whether the card's last month is over.
func (c Card) Expired(now time.Time) bool {
	year, month := c.Expiry()
	thisYear, thisMonth := now.UTC().Year(), int(now.UTC().Month())
	return thisYear > year || (thisYear == year && thisMonth > month)
}

// Format prints no card, whatever the verb.
func (Card) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

// String prints no card.
func (Card) String() string { return redacted }

// GoString prints no card.
func (Card) GoString() string { return redacted }

// LogValue logs no card.
func (Card) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes no card, in JSON neither.
func (Card) MarshalText() ([]byte, error) { return []byte(redacted), nil }
