package server

import (
	"errors"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// usualPlaceOrders are requests that isUsualPlaceOrder accepts, one at least at each of its bounds: a rule that is narrowed in the schema
// and not in it makes TestIsUsualPlaceOrder_AcceptsUsualRequests fail.
func usualPlaceOrders() map[string]*spillwayv1.PlaceOrderRequest {
	out := map[string]*spillwayv1.PlaceOrderRequest{}
	add := func(name string, change func(m *spillwayv1.PlaceOrderRequest)) {
		m := placeOrder()
		change(m)
		out[name] = m
	}
	add("usual", func(*spillwayv1.PlaceOrderRequest) {})
	add("of the cart, paid later", func(m *spillwayv1.PlaceOrderRequest) { m.Lines, m.Card = nil, nil })
	add("longest lines", func(m *spillwayv1.PlaceOrderRequest) {
		for len(m.Lines) < order.MaxLines {
			m.Lines = append(m.Lines, &spillwayv1.Line{Sku: strings.Repeat("z", maxSKULen), Quantity: order.MaxQuantity})
		}
	})
	add("longest texts", func(m *spillwayv1.PlaceOrderRequest) {
		m.ShippingAddress = &spillwayv1.Address{
			Name: strings.Repeat("n", maxNameLen), Street: strings.Repeat("s", maxNameLen), City: strings.Repeat("c", maxCityLen),
			Region: strings.Repeat("r", maxCityLen), PostalCode: strings.Repeat("1", maxPostalCodeLen), CountryCode: "ZW",
		}
		m.IdempotencyKey = strings.Repeat("~", maxKeyLen)
		label := strings.Repeat("d", maxLabelLen)
		m.Email = strings.Repeat("e", maxEmailLen-3*len(label)-3) + "@" + strings.Join([]string{label, label, label}, ".")
	})
	add("not ASCII", func(m *spillwayv1.PlaceOrderRequest) { m.ShippingAddress.Name = strings.Repeat("ü", maxNameLen/2) })
	add("mail address", func(m *spillwayv1.PlaceOrderRequest) { m.Email = "A.b_c+d-9@x-1.example.co.uk" })
	add("separated card", func(m *spillwayv1.PlaceOrderRequest) { m.Card.Number, m.Card.Cvv = "4242 4242-4242 4242 424", "1234" })
	add("last card", func(m *spillwayv1.PlaceOrderRequest) {
		m.Card.Number, m.Card.ExpiryYear, m.Card.ExpiryMonth = strings.Repeat("9", minCardDigits), 2100, 12
	})
	add("first card", func(m *spillwayv1.PlaceOrderRequest) { m.Card.ExpiryYear, m.Card.ExpiryMonth = 2000, 1 })
	add("highest total", func(m *spillwayv1.PlaceOrderRequest) {
		m.ExpectedTotal = &spillwayv1.Money{CurrencyCode: "ZZZ", Units: maxUnits, Nanos: maxNanos}
	})
	add("lowest total", func(m *spillwayv1.PlaceOrderRequest) {
		m.ExpectedTotal = &spillwayv1.Money{CurrencyCode: "AAA", Units: -maxUnits, Nanos: -maxNanos}
	})
	return out
}

func TestIsUsualPlaceOrder_AcceptsUsualRequests(t *testing.T) {
	for name, m := range usualPlaceOrders() {
		if !isUsualPlaceOrder(m) {
			t.Errorf("%s: not accepted, so that protovalidate has to check it", name)
		}
		if err := errors.Join(protovalidate.Validate(m), checkTexts(m)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// wantValid fails if isUsualPlaceOrder accepts what protovalidate does not.
func wantValid(t rapid.TB, m *spillwayv1.PlaceOrderRequest) {
	if !isUsualPlaceOrder(m) {
		return
	}
	if err := errors.Join(protovalidate.Validate(m), checkTexts(m)); err != nil {
		t.Errorf("isUsualPlaceOrder accepts %v; the rules: %v", m, err)
	}
}

// TestIsUsualPlaceOrder_AcceptsOnlyValidRequests breaks usual requests in one place, a little or not at all.
func TestIsUsualPlaceOrder_AcceptsOnlyValidRequests(t *testing.T) {
	short, code := rapid.StringMatching(`[A-Za-z0-9@._ \n+ü\x00\x1b\x{202e}-]{0,4}`), rapid.StringMatching(`[A-Z]{1,4}|eur|E R|EUR\n`)
	email := rapid.StringMatching(`[a-z.!_+-]{0,3}@?[a-z0-9-]{0,3}(\.[a-z-]{0,3}){0,2}`)
	long := rapid.Custom(func(r *rapid.T) string {
		return strings.Repeat(rapid.SampledFrom([]string{"a", "ü", "-", " "}).Draw(r, "char"), rapid.IntRange(0, 300).Draw(r, "length"))
	})
	text := rapid.OneOf(short, code, email, long)
	changes := []func(r *rapid.T, m *spillwayv1.PlaceOrderRequest){
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) { m.CurrencyCode = text.Draw(r, "currency") },
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) { m.Email = text.Draw(r, "email") },
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) { m.IdempotencyKey = text.Draw(r, "key") },
		func(_ *rapid.T, m *spillwayv1.PlaceOrderRequest) { m.ShippingAddress = nil },
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) { m.ShippingAddress.Name = text.Draw(r, "name") },
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) { m.ShippingAddress.Street = text.Draw(r, "street") },
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) { m.ShippingAddress.City = text.Draw(r, "city") },
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) { m.ShippingAddress.Region = text.Draw(r, "region") },
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) {
			m.ShippingAddress.PostalCode = text.Draw(r, "postal code")
		},
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) {
			m.ShippingAddress.CountryCode = text.Draw(r, "country")
		},
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) {
			m.Card.Number = rapid.StringMatching(`[0-9 -]{0,3}[0-9]{8,18}[ -]?[0-9]{0,2}\n?`).Draw(r, "number")
		},
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) {
			m.Card.Cvv = rapid.StringMatching(`[0-9]{0,5}[ x]?`).Draw(r, "cvv")
		},
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) {
			m.Card.ExpiryYear = rapid.Int32Range(1998, 2102).Draw(r, "year")
		},
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) {
			m.Card.ExpiryMonth = rapid.Int32Range(-1, 14).Draw(r, "month")
		},
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) { m.Lines[0].Sku = text.Draw(r, "sku") },
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) {
			m.Lines[0].Quantity = rapid.Int32Range(-1, 1002).Draw(r, "quantity")
		},
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) {
			for range rapid.IntRange(0, order.MaxLines+1).Draw(r, "lines") {
				m.Lines = append(m.Lines, m.Lines[0])
			}
		},
		func(r *rapid.T, m *spillwayv1.PlaceOrderRequest) {
			m.ExpectedTotal = &spillwayv1.Money{
				CurrencyCode: text.Draw(r, "total's currency"), Units: rapid.Int64().Draw(r, "units"), Nanos: rapid.Int32().Draw(r, "nanos"),
			}
		},
	}
	rapid.Check(t, func(r *rapid.T) {
		m := placeOrder()
		rapid.SampledFrom(changes).Draw(r, "change")(r, m)
		wantValid(r, m)
	})
}

// FuzzIsUsualPlaceOrder reads requests from their binary form.
func FuzzIsUsualPlaceOrder(f *testing.F) {
	for _, m := range usualPlaceOrders() {
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := &spillwayv1.PlaceOrderRequest{}
		if proto.Unmarshal(raw, m) == nil {
			wantValid(t, m)
		}
	})
}

func BenchmarkCheckRequest_PlaceOrder(b *testing.B) {
	m := placeOrder()
	b.Run("usual", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := checkRequest(m); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("protovalidate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := protovalidate.Validate(m); err != nil {
				b.Fatal(err)
			}
		}
	})
}
