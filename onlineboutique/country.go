package onlineboutique

import (
	_ "embed" // The table is part of the program.
	"strings"
	"sync"

	"github.com/spillway/spillway/order"
)

// countriesText has a line of each country: its ISO 3166-1 alpha-2 code and its English names, separated by semicolons.
//
//go:embed countries.txt
var countriesText string

// countryCodes are the codes by names in small letters. The codes are names, too.
var countryCodes = sync.OnceValue(func() map[string]string {
	codes := make(map[string]string)
	for line := range strings.Lines(countriesText) {
		code, names, _ := strings.Cut(strings.TrimSpace(line), " ")
		codes[strings.ToLower(code)] = code
		for name := range strings.SplitSeq(names, ";") {
			codes[strings.ToLower(strings.TrimSpace(name))] = code
		}
	}
	return codes
})

// countryCode returns the code of a country by its English name or its code.
func countryCode(name string) (string, error) {
	code, ok := countryCodes()[strings.ToLower(strings.TrimSpace(name))]
	if !ok {
		return "", order.InField("country", order.Refuse(order.ErrInvalid, order.ReasonInvalidField,
			"this country is not known: use its English name, such as Germany, or its code, such as DE"))
	}
	return code, nil
}
