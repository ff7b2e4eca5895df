package server

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"pgregory.net/rapid"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// encodesAsConnect reports whether encodeErrorBody handles the refusal. It fails if the body says anything else than Connect's.
func encodesAsConnect(t rapid.TB, f refusal, requestID string) bool {
	body, ok := encodeErrorBody(f, requestID)
	if !ok {
		return false
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, placeProcedure, http.NoBody)
	r.Header.Set("Content-Type", "application/json")
	if err := connect.NewErrorWriter().Write(w, r, f.build(requestID)); err != nil {
		t.Fatal(err)
	}
	if got, want := readErrorBody(t, body), readErrorBody(t, w.Body.String()); !reflect.DeepEqual(got, want) {
		t.Errorf("encodeErrorBody:\n%s\nConnect:\n%s", body, w.Body)
	}
	return true
}

// errorBody is the body of an error in Connect's JSON.
type errorBody struct {
	Code    string        `json:"code"`
	Message *string       `json:"message"`
	Details []errorDetail `json:"details"`
}

type errorDetail struct {
	Type  string `json:"type"`
	Value string `json:"value"`
	Debug any    `json:"debug"`
}

// readErrorBody parses the body of an error. The binary form of each detail is normalized, because the entries of a map have no order.
func readErrorBody(t rapid.TB, body string) (out errorBody) {
	strict := json.NewDecoder(strings.NewReader(body))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&out); err != nil || strict.More() {
		t.Fatalf("%s: %v", body, err)
	}
	for i, d := range out.Details {
		raw, err := base64.RawStdEncoding.DecodeString(d.Value)
		if err != nil {
			t.Fatal(err)
		}
		kind, err := protoregistry.GlobalTypes.FindMessageByURL(d.Type)
		if err != nil {
			t.Fatal(err)
		}
		m := kind.New().Interface()
		if err := proto.Unmarshal(raw, m); err != nil {
			t.Fatal(err)
		}
		stable, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		out.Details[i].Value = string(stable)
	}
	return out
}

func TestEncodeErrorBody_HandlesUsualRefusals(t *testing.T) {
	for _, name := range []string{
		"sold out", "not found", "key reused", "with a reason", "limit of units", "limit of a rate", "overloaded", "unavailable", "unavailable, with a reason",
		"deadline", "unforeseen",
	} {
		if !encodesAsConnect(t, refusalOf(refusedCases[name].err), "R1") {
			t.Errorf("%s: not handled", name)
		}
	}
	several := &order.SoldOutError{Shortages: []order.Shortage{{SKU: "A", Requested: math.MaxInt64, Available: 2}, {SKU: "B", Requested: 1}, {SKU: "C"}}}
	if f := refusalOf(several); !encodesAsConnect(t, f, "R1") || !encodesAsConnect(t, f, "") {
		t.Error("several shortages: not handled")
	}
}

// TestEncodeErrorBody_SaysWhatConnectSays tests refusals of all shapes, also those that the encoder leaves to Connect.
func TestEncodeErrorBody_SaysWhatConnectSays(t *testing.T) {
	text := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9 ;:.,'()/-]{0,20}`), rapid.StringMatching(`[ -~]{0,8}`), rapid.String())
	details := rapid.OneOf(
		rapid.Just[proto.Message](nil),
		rapid.Custom(func(r *rapid.T) proto.Message {
			out := &spillwayv1.SoldOut{}
			for range rapid.IntRange(0, 3).Draw(r, "items") {
				out.Items = append(out.Items, &spillwayv1.SoldOutItem{
					Sku: text.Draw(r, "sku"), Requested: rapid.Int64().Draw(r, "requested"), Available: rapid.Int64Range(0, 2).Draw(r, "available"),
				})
			}
			return out
		}),
		rapid.Just[proto.Message](&spillwayv1.PaymentDeclined{OrderId: "O", DeclineCode: "lost_card"}),
	)
	rapid.Check(t, func(r *rapid.T) {
		f := refusal{
			code: connect.Code(rapid.Uint32Range(1, 16).Draw(r, "code")), reason: order.Reason(text.Draw(r, "reason")), text: text.Draw(r, "text"),
			metadata: rapid.MapOfN(rapid.OneOf(text, rapid.Just(metaRequestID)), text, 0, 3).Draw(r, "metadata"), detail: details.Draw(r, "detail"),
		}
		if rapid.Bool().Draw(r, "retry") {
			unit := rapid.SampledFrom([]time.Duration{1, time.Millisecond, time.Second}).Draw(r, "unit")
			f.retry = time.Duration(rapid.Int64Range(0, 100_000).Draw(r, "delay")) * unit
		}
		if rapid.IntRange(0, 9).Draw(r, "fields") == 0 {
			f.fields = []fieldViolation{{field: "a", description: "b", reason: "C"}}
		}
		encodesAsConnect(r, f, text.Draw(r, "request id"))
	})
}

// TestErrorBodies_BodyIsThatOfConnect compares responses over HTTP with what Connect would have sent.
func TestErrorBodies_BodyIsThatOfConnect(t *testing.T) {
	for name, c := range refusedCases {
		for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "application/proto"} {
			t.Run(name+"/"+contentType, func(t *testing.T) {
				req := httptest.NewRequest(http.MethodPost, placeProcedure, http.NoBody)
				req.Header.Set("Content-Type", contentType)
				got, want := httptest.NewRecorder(), httptest.NewRecorder()
				encoded := &refusalError{refusal: refusalOf(c.err), requestID: "R1"}
				encodeBody(encoded)
				withErrorBody(unaryHandler(encoded)).ServeHTTP(got, req)
				unaryHandler(&refusalError{refusal: encoded.refusal, requestID: "R1"}).ServeHTTP(want, req)
				if got.Code != want.Code || !reflect.DeepEqual(readErrorBody(t, got.Body.String()), readErrorBody(t, want.Body.String())) {
					t.Errorf("got %d %s\nwant %d %s", got.Code, got.Body, want.Code, want.Body)
				}
				if !reflect.DeepEqual(got.Header(), want.Header()) {
					t.Errorf("headers = %v; want %v", got.Header(), want.Header())
				}
			})
		}
	}
}

// unaryHandler is Connect's handler of PlaceOrder, which always fails with err.
func unaryHandler(err error) http.Handler {
	return connect.NewUnaryHandlerSimple(placeProcedure, fakeCheckout{place: failsWith(err)}.PlaceOrder)
}

func TestRefusalError_IsAConnectError(t *testing.T) {
	err := error(&refusalError{refusal: refusalOf(refusedCases["sold out"].err), requestID: "R1"})
	var first, second *connect.Error
	if !errors.As(err, &first) || !errors.As(err, &second) || first != second {
		t.Fatalf("%v is not one *connect.Error", err)
	}
	if connect.CodeOf(err) != connect.CodeFailedPrecondition || detailOf[*errdetails.ErrorInfo](first).GetMetadata()[metaRequestID] != "R1" ||
		first.Message() != err.Error() {
		t.Errorf("%v, details %v", first, first.Details())
	}
	if other := new(order.SoldOutError); errors.As(err, &other) {
		t.Error("it is an error of the domain as well")
	}
}

func BenchmarkEncodeErrorBody(b *testing.B) {
	f := refusalOf(refusedCases["sold out"].err)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := encodeErrorBody(f, "01234567890123456789012345"); !ok {
			b.Fatal("not handled")
		}
	}
}
