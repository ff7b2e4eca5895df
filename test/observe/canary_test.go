package observe

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// canaries are the personal data of one request. Each value is used nowhere else, so that a place where it is found got it from there.
type canaries struct {
	situation                             string
	card, cvv, token, email, street, name string
	// also are further values by name, such as a card that the simulated provider knows.
	also map[string]string
}

// newCanaries makes the data of a request in the situation.
func newCanaries(situation string) canaries {
	return canaries{
		situation: situation, card: newCard(), cvv: digits(4), email: word() + "@" + word() + ".example",
		street: word() + ` Straße "4" & ` + word() + "/é", name: word() + " O'" + word(), also: map[string]string{},
	}
}

// word returns 16 characters that no escaping changes.
func word() string { return strings.ToLower(rand.Text()[:16]) }

// digits returns n random digits, of which the first is not 0.
func digits(n int) string {
	low := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n-1)), nil)
	v, err := rand.Int(rand.Reader, new(big.Int).Mul(low, big.NewInt(9)))
	if err != nil {
		panic(err) // It never fails.
	}
	return v.Add(v, low).String()
}

// newCard returns a number with a right check digit.
func newCard() string {
	n := "4" + digits(14)
	return n + fmt.Sprint((10-luhn(n+"0"))%10)
}

// luhn returns the Luhn sum modulo 10; it is 0 for a number with a right check digit.
func luhn(number string) int {
	sum := 0
	for i := range len(number) {
		d := int(number[len(number)-1-i] - '0')
		if i%2 == 1 {
			d = d*2%10 + d/5
		}
		sum += d
	}
	return sum % 10
}

// pieceBytes is the length of the shortest piece of a value that is looked for: twelve digits of a card, which are never found by chance.
const pieceBytes = 12

// needle is a text that must not be found, in lower case, and the value that it was made of.
type needle struct{ text, value string }

// needles returns all forms of all values but the CVV, which is too short.
func (c canaries) needles() []needle {
	values := map[string]string{"card": c.card, "token": c.token, "e-mail": c.email, "street": c.street, "name": c.name}
	maps.Copy(values, c.also)
	var out []needle
	for name, value := range values {
		for _, form := range forms(value) {
			out = append(out, needle{strings.ToLower(form), c.situation + ": " + name})
		}
	}
	return out
}

var (
	words  = regexp.MustCompile(`[A-Za-z0-9_-]{12,}`)
	number = regexp.MustCompile(`^[0-9]{16}$`)
)

// knownCards begin the numbers that the simulated provider knows.
const knownCards = "40000000000"

// forms returns the pieces of the words of a value, so that escapes between words and truncation do not hide them; and the words in hex and
// base64.
func forms(value string) (out []string) {
	for _, w := range words.FindAllString(value, -1) {
		if strings.HasPrefix(w, knownCards) {
			out = append(out, w) // Its zeros are also those of an empty span id.
			continue
		}
		for i := 0; i+pieceBytes <= len(w); i++ {
			out = append(out, w[i:i+pieceBytes])
		}
		out = append(out, hex.EncodeToString([]byte(w)))
		out = append(out, encoded(w, base64.RawStdEncoding)...)
		out = append(out, encoded(w, base64.RawURLEncoding)...)
	}
	if number.MatchString(value) {
		for _, between := range []string{" ", "-", "+", "%20"} {
			for i := range 2 { // Three of four groups.
				out = append(out, strings.Join([]string{value[4*i : 4*i+4], value[4*i+4 : 4*i+8], value[4*i+8 : 4*i+12]}, between))
			}
		}
	}
	return out
}

// encoded returns what the word looks like in the base64 of a longer text, for each of the three offsets that it can have there, without the
// characters that its neighbours determine as well.
func encoded(word string, as *base64.Encoding) (out []string) {
	for before, cut := range []int{0, 2, 3} {
		text := as.EncodeToString(append(make([]byte, before), word...))
		if (before+len(word))%3 != 0 {
			text = text[:len(text)-1]
		}
		out = append(out, text[cut:])
	}
	return out
}

// finder finds needles in one pass over a text, however many they are.
type finder struct {
	byBegin map[string][]needle // by their first pieceBytes bytes
	cvvs    map[string][]string // by situation
}

func newFinder(all []canaries) *finder {
	f := &finder{byBegin: map[string][]needle{}, cvvs: map[string][]string{}}
	for _, c := range all {
		for _, n := range c.needles() {
			f.byBegin[n.text[:pieceBytes]] = append(f.byBegin[n.text[:pieceBytes]], n)
		}
		f.cvvs[c.situation] = append(f.cvvs[c.situation], c.cvv)
	}
	return f
}

// in returns the values that are found in the text, each with its surroundings.
func (f *finder) in(text string) (out map[string]string) {
	const around = 100
	out = f.cvvsIn(text)
	lower := strings.ToLower(text)
	for i := 0; i+pieceBytes <= len(lower); i++ {
		for _, n := range f.byBegin[lower[i:i+pieceBytes]] {
			if strings.HasPrefix(lower[i:], n.text) && out[n.value] == "" {
				out[n.value] = lower[max(0, i-around):min(len(lower), i+around)]
			}
		}
	}
	return out
}

var (
	separate   = regexp.MustCompile(`[0-9A-Za-z.:_/+-]+`) // Not the parts of a time, a duration or an address.
	fourDigits = regexp.MustCompile(`^[0-9]{4}$`)
	otlpText   = regexp.MustCompile(`"(?:stringValue|name|description|message|key)":"((?:[^"\\]|\\.)*)"`)
	cvvField   = regexp.MustCompile(`(?i)\bcv[vc]\W{1,6}[0-9]{3,4}\b.{0,40}`)
)

// cvvsIn finds a verification code by the name of its field, and otherwise a situation whose codes all stand by themselves in the text: one
// number of four digits may be there by chance.
func (f *finder) cvvsIn(text string) map[string]string {
	out := map[string]string{}
	if found := cvvField.FindString(text); found != "" {
		out["a CVV by its name"] = found
	}
	if strings.Contains(text, `"stringValue"`) { // OTLP as JSON has counts in strings.
		var texts []string
		for _, m := range otlpText.FindAllStringSubmatch(text, -1) {
			texts = append(texts, m[1])
		}
		text = strings.Join(texts, "\n")
	}
	seen := map[string]bool{}
	for _, token := range separate.FindAllString(text, -1) {
		if fourDigits.MatchString(token) {
			seen[token] = true
		}
	}
	for situation, cvvs := range f.cvvs {
		if len(cvvs) > 1 && !slices.ContainsFunc(cvvs, func(cvv string) bool { return !seen[cvv] }) {
			out[situation+": CVV"] = strings.Join(cvvs, " and ")
		}
	}
	return out
}
