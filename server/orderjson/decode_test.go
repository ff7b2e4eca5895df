package orderjson

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// handled are bodies that Decode must handle, because clients send such.
var handled = map[string]string{
	"usual": `{"currencyCode":"EUR","email":"a@example.com","shippingAddress":{"name":"A","street":"S 1","city":"Berlin",` +
		`"postalCode":"10115","countryCode":"DE"},"card":{"number":"4242424242424242","cvv":"123","expiryYear":2090,"expiryMonth":1},` +
		`"lines":[{"sku":"A-1","quantity":1},{"sku":"B-2","quantity":20}],"idempotencyKey":"k1"}`,
	"every field": `{"lines":[{"sku":"A","quantity":1}],"currencyCode":"EUR","email":"a@example.com","shippingAddress":{"name":"A","street":"S",` +
		`"city":"C","region":"R","postalCode":"P","countryCode":"DE"},"card":{"number":"4","cvv":"1","expiryYear":2030,"expiryMonth":12},` +
		`"idempotencyKey":"k","expectedTotal":{"currencyCode":"EUR","units":"-12","nanos":-990000000}}`,
	"units as a number": `{"expectedTotal":{"units":12,"nanos":0}}`,
	"white space":       " {\n\t\"lines\" : [ { \"sku\" : \"A\" , \"quantity\" : 1 } , {} ] ,\r\n \"expectedTotal\" : { \"units\" : 7 } } \n",
	"not ASCII":         `{"shippingAddress":{"name":"Jörg Müller","street":"北京路 1","city":"𝄞","region":"�"}}`,
	"empty":             `{}`,
	"empty parts":       `{"lines":[],"card":{},"shippingAddress":{},"expectedTotal":{},"email":""}`,
	"integers":          `{"lines":[{"quantity":2147483647},{"quantity":-2147483648},{"quantity":0}],"expectedTotal":{"units":"999999999999999999"}}`,
	"slash and delete":  "{\"email\":\"/\x7f\"}",
}

// leftToProtoJSON are bodies that Decode must not handle: protojson refuses most of them, and reads the others by rules of its own.
var leftToProtoJSON = map[string]string{
	"nothing":              ``,
	"white space only":     ` `,
	"not an object":        `[]`,
	"null":                 `null`,
	"a null field":         `{"email":null}`,
	"a null element":       `{"lines":[null]}`,
	"unknown field":        `{"emial":"a"}`,
	"unknown inner field":  `{"card":{"pan":"4"}}`,
	"field of the schema":  `{"currency_code":"EUR"}`,
	"repeated field":       `{"email":"a","email":"a"}`,
	"repeated by its name": `{"currencyCode":"EUR","currency_code":"EUR"}`,
	"repeated inner field": `{"card":{"cvv":"1","number":"4","cvv":"1"}}`,
	"wrong type":           `{"email":1}`,
	"number as a string":   `{"lines":[{"quantity":"1"}]}`,
	"list for an object":   `{"card":[]}`,
	"object for a list":    `{"lines":{}}`,
	"trailing text":        `{} x`,
	"trailing object":      `{}{}`,
	"trailing comma":       `{"email":"a",}`,
	"leading comma":        `{,"email":"a"}`,
	"trailing comma, list": `{"lines":[{},]}`,
	"missing comma":        `{"email":"a" "currencyCode":"EUR"}`,
	"missing colon":        `{"email" "a"}`,
	"no end":               `{"email":"a"`,
	"no end of a string":   `{"email":"a`,
	"no end of a list":     `{"lines":[{}`,
	"escape":               `{"email":"\u0061"}`,
	"escaped name":         `{"\u0065mail":"a"}`,
	"control character":    "{\"email\":\"a\x00\"}",
	"line break":           "{\"email\":\"a\n\"}",
	"not UTF-8":            "{\"email\":\"\xff\"}",
	"half a character":     "{\"email\":\"\xc3\"}",
	"surrogate in UTF-8":   "{\"email\":\"\xed\xa0\x80\"}",
	"byte order mark":      "\xef\xbb\xbf{}",
	"a zero byte":          "{}\x00",
	"fraction":             `{"lines":[{"quantity":1.0}]}`,
	"exponent":             `{"lines":[{"quantity":1e0}]}`,
	"leading zero":         `{"lines":[{"quantity":01}]}`,
	"minus zero":           `{"lines":[{"quantity":-0}]}`,
	"plus":                 `{"lines":[{"quantity":+1}]}`,
	"minus alone":          `{"lines":[{"quantity":-}]}`,
	"number and letters":   `{"lines":[{"quantity":1x}]}`,
	"too big for 32 bits":  `{"lines":[{"quantity":2147483648}]}`,
	"too big for 64 bits":  `{"expectedTotal":{"units":"9223372036854775808"}}`,
	"many digits":          `{"expectedTotal":{"units":1` + strings.Repeat("0", 400) + `}}`,
	"space in a number":    `{"expectedTotal":{"units":" 1"}}`,
	"empty number":         `{"expectedTotal":{"units":""}}`,
	"comment":              `{/**/}`,
	"deep nesting":         strings.Repeat(`{"card":`, 20_000),
	"deep lists":           `{"lines":` + strings.Repeat(`[`, 20_000),
	"too many lines":       `{"lines":[{}` + strings.Repeat(`,{}`, order.MaxLines) + `]}`,
}

func TestDecode_HandlesUsualRequests(t *testing.T) {
	for name, body := range handled {
		if !decodesAsProtoJSON(t, []byte(body)) {
			t.Errorf("%s: not handled: %s", name, body)
		}
	}
}

func TestDecode_LeavesTheRestToProtoJSON(t *testing.T) {
	for name, body := range leftToProtoJSON {
		if decodesAsProtoJSON(t, []byte(body)) {
			t.Errorf("%s: handled: %.100s", name, body)
		}
	}
}

// TestDecode_TruncatedRequest cuts a request at each byte.
func TestDecode_TruncatedRequest(t *testing.T) {
	body := handled["every field"]
	for n := range len(body) {
		if decodesAsProtoJSON(t, []byte(body[:n])) {
			t.Errorf("handled: %s", body[:n])
		}
	}
}

func TestDecode_KeepsNothingOfTheBody(t *testing.T) {
	body := []byte(handled["every field"])
	m, want := &spillwayv1.PlaceOrderRequest{}, &spillwayv1.PlaceOrderRequest{}
	if !Decode(body, m) {
		t.Fatal("not handled")
	}
	if err := protojson.Unmarshal(body, want); err != nil {
		t.Fatal(err)
	}
	for i := range body { // Connect reuses the buffer for another request.
		body[i] = 'x'
	}
	if !proto.Equal(m, want) {
		t.Errorf("the message changed with the body: %v", m)
	}
}

func TestDecode_ResetsTheMessage(t *testing.T) {
	m := &spillwayv1.PlaceOrderRequest{Email: "old", Lines: []*spillwayv1.Line{{Sku: "old"}}}
	if !Decode([]byte(`{"currencyCode":"EUR"}`), m) || !proto.Equal(m, &spillwayv1.PlaceOrderRequest{CurrencyCode: "EUR"}) {
		t.Errorf("message = %v", m)
	}
}

func TestDecode_OtherMessages(t *testing.T) {
	if Decode([]byte(`{}`), &spillwayv1.PayOrderRequest{}) {
		t.Error("a PayOrderRequest was handled")
	}
}

// TestDecode_BrokenRequests changes, repeats and removes parts of requests.
func TestDecode_BrokenRequests(t *testing.T) {
	parts := []string{
		`{`, `}`, `[`, `]`, `,`, `:`, `"`, `\`, ` `, "\n", `null`, `true`, `0`, `-`, `1`, `1e1`, `.5`, `""`, `"units"`, `"email":"b"`, `"a":1`, "\xff", "ü", "\x00",
	}
	rapid.Check(t, func(r *rapid.T) {
		body := []byte(handled[rapid.SampledFrom([]string{"usual", "every field", "white space"}).Draw(r, "body")])
		for range rapid.IntRange(1, 3).Draw(r, "changes") {
			from := rapid.IntRange(0, len(body)).Draw(r, "from")
			to := min(from+rapid.IntRange(0, 12).Draw(r, "length"), len(body))
			piece := rapid.OneOf(rapid.SampledFrom(parts), rapid.Just(string(body[from:to])+string(body[from:to]))).Draw(r, "part")
			body = bytes.Join([][]byte{body[:from], []byte(piece), body[to:]}, nil)
		}
		decodesAsProtoJSON(r, body)
	})
}

// decodesAsProtoJSON reports whether Decode handles the body. It fails if protojson does not make the same message of it.
func decodesAsProtoJSON(t rapid.TB, body []byte) bool {
	got, want := &spillwayv1.PlaceOrderRequest{}, &spillwayv1.PlaceOrderRequest{}
	if !Decode(body, got) {
		return false
	}
	if err := protojson.Unmarshal(body, want); err != nil {
		t.Errorf("Decode handles %q; protojson: %v", body, err)
	} else if !proto.Equal(got, want) {
		t.Errorf("Decode of %q:\n%v\nprotojson:\n%v", body, got, want)
	}
	if !json.Valid(body) {
		t.Errorf("Decode handles %q, which is not JSON", body)
	}
	return true
}

func FuzzDecode(f *testing.F) {
	for _, bodies := range []map[string]string{handled, leftToProtoJSON} {
		for _, body := range bodies {
			f.Add([]byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) { decodesAsProtoJSON(t, body) })
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(handled["usual"])
	b.Run("orderjson", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !Decode(body, &spillwayv1.PlaceOrderRequest{}) {
				b.Fatal("not handled")
			}
		}
	})
	b.Run("protojson", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := protojson.Unmarshal(body, &spillwayv1.PlaceOrderRequest{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
