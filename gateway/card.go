package gateway

import (
	"log/slog"
	"strings"
	"time"
)

// Card is a payment card on its way to the provider. Nothing prints it: not fmt, not slog, not json (I13). What it holds is
// behind a pointer, because fmt prints the unexported fields of an unexported field without asking for its String.
type Card struct{ secret *cardSecret }

type cardSecret struct {
	number, cvv string
	year, month int
}

// redacted stands for a card wherever one would be printed.
const redacted = "[card]"

// NewCard makes a card; spaces and dashes in the number are dropped.
func NewCard(number, cvv string, year, month int) Card {
	return Card{&cardSecret{number: strings.NewReplacer(" ", "", "-", "").Replace(number), cvv: cvv, year: year, month: month}}
}

// Number is the digits. It is for the provider only.
func (c Card) Number() string { return c.secret.number }

// CVV is the code on the card. It is for the provider only.
func (c Card) CVV() string { return c.secret.cvv }

// Expiry is the last month in which the card is good.
func (c Card) Expiry() (year, month int) { return c.secret.year, c.secret.month }

// Expired says whether the card's last month is over.
func (c Card) Expired(now time.Time) bool {
	year, month := now.UTC().Year(), int(now.UTC().Month())
	return year > c.secret.year || (year == c.secret.year && month > c.secret.month)
}

// String, GoString, LogValue, MarshalJSON and MarshalText print no card.
func (Card) String() string { return redacted }

// GoString prints no card.
func (Card) GoString() string { return redacted }

// LogValue logs no card.
func (Card) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes no card, in JSON neither.
func (Card) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// luhn says whether the digits add up as a card number's must.
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
