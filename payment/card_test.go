package payment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestCard_IsPrintedRedacted(t *testing.T) {
	const number, cvv = "4242424242424242", "917"
	card := NewCard("4242 4242-4242 4242", cvv, 2031, 7)
	type holder struct {
		Card    Card
		Pointer *Card
		hidden  Card
		any     any
	}
	held := holder{Card: card, Pointer: &card, hidden: card, any: card}
	var logged bytes.Buffer
	// The time is omitted, because its digits may contain a secret.
	timeless := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	text, structured := slog.New(slog.NewTextHandler(&logged, timeless)), slog.New(slog.NewJSONHandler(&logged, timeless))
	for _, log := range []*slog.Logger{text, structured} {
		log.Info("card", "card", card, "pointer", &card, "held", held, "list", []Card{card})
	}
	out := logged.String()
	for _, v := range []any{card, &card, held, &held, []Card{card}, map[string]Card{"c": card}, fmt.Errorf("charge %v", card)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U", "%t", "%e"} {
			out += fmt.Sprintf(verb, v) + "\n"
		}
	}
	for _, v := range []any{card, &card, held, []Card{card}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out += string(b) + card.String() + card.GoString() + card.LogValue().String()
	}
	hex := fmt.Sprintf("%x", number)
	for _, secret := range []string{number, number[:8], cvv, "2031", hex, strings.ToUpper(hex)} {
		if i := strings.Index(out, secret); i >= 0 {
			t.Errorf("%q was printed: …%s…", secret, out[max(0, i-40):min(len(out), i+40)])
		}
	}
	if !strings.Contains(out, redacted) {
		t.Error("a card is not printed redacted")
	}
	if card.Number() != number || card.CVV() != cvv {
		t.Error("the provider gets another card")
	}
}

func TestCard_Zero(t *testing.T) {
	var c Card
	if year, month := c.Expiry(); c.Number() != "" || c.CVV() != "" || year != 0 || month != 0 || !c.Expired(time.Now()) {
		t.Error("the zero card is not empty")
	}
}

func TestCard_Expired(t *testing.T) {
	card := NewCard("4242424242424242", "123", 2030, 6)
	for at, expired := range map[string]bool{
		"2029-12-31T00:00:00Z": false, "2030-06-30T23:59:59Z": false, "2030-07-01T00:00:00Z": true, "2031-01-01T00:00:00Z": true,
		"2030-07-01T01:00:00+02:00": false, // still June in UTC
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if card.Expired(now) != expired {
			t.Errorf("at %s: expired = %v", at, !expired)
		}
	}
}

// FuzzNewCard compares the stored number with what a strings.Replacer makes of it.
func FuzzNewCard(f *testing.F) {
	for _, number := range []string{"4242424242424242", "4242 4242 4242 4242", "4242-4242-4242-4242", " - ", "", "42é42\xff 4", "\u00a0 1"} {
		f.Add(number)
	}
	separators := strings.NewReplacer(" ", "", "-", "")
	f.Fuzz(func(t *testing.T, number string) {
		if got, want := NewCard(number, "123", 2099, 1).Number(), separators.Replace(number); got != want {
			t.Errorf("the number of %q is %q; want %q", number, got, want)
		}
	})
}

func BenchmarkNewCard(b *testing.B) {
	for name, number := range map[string]string{"digits": "4242424242424242", "spaces": "4242 4242 4242 4242"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = NewCard(number, "123", 2099, 1)
			}
		})
	}
}
