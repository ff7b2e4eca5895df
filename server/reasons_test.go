package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
)

// TestReasons_CodeDocumentationAndTestsAgree compares the reasons in the code, in docs/errors.md and in this test.
func TestReasons_CodeDocumentationAndTestsAgree(t *testing.T) {
	code, documented := reasonsInCode(t), reasonsInDocs(t)
	for _, reason := range code {
		if _, ok := documented[reason]; !ok {
			t.Errorf("%s is not in the table of docs/errors.md", reason)
		}
		if _, ok := provocations[reason]; !ok {
			t.Errorf("%s has no test that provokes it", reason)
		}
	}
	for reason := range documented {
		if !slices.Contains(code, reason) {
			t.Errorf("%s is in the table of docs/errors.md and not in the code", reason)
		}
	}
	if len(code) < 2 || len(provocations) != len(code) {
		t.Errorf("%d reasons in the code, %d provocations", len(code), len(provocations))
	}
}

// TestReasons_EachIsSentWithItsCode provokes each error through a server with a real Redis and a real database.
func TestReasons_EachIsSentWithItsCode(t *testing.T) {
	documented := reasonsInDocs(t)
	s := openRefusingShop(t)
	for _, reason := range slices.Sorted(maps.Keys(provocations)) {
		t.Run(string(reason), func(t *testing.T) {
			body := provocations[reason](t, s)
			got := refusedAs(t, body)
			if got.info.GetReason() != string(reason) || got.Code != documented[reason] || got.info.GetMetadata()[metaRequestID] == "" {
				t.Errorf("got %s; want reason %s, code %s and a request id", body, reason, documented[reason])
			}
		})
	}
}

// reasonsInCode are the constants of type order.Reason.
func reasonsInCode(t *testing.T) (out []order.Reason) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../order/refusal.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "Reason" {
			for _, v := range spec.Values {
				out = append(out, order.Reason(strings.Trim(v.(*ast.BasicLit).Value, `"`))) //nolint:forcetypeassert,errcheck // They are literals.
			}
		}
		return true
	})
	return out
}

var reasonRow = regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| `([a-z_]+)` \\| [^|]+ \\| [^|]+ \\|$")

// reasonsInDocs are the rows of the table in docs/errors.md, with the code of each.
func reasonsInDocs(t *testing.T) map[order.Reason]string {
	t.Helper()
	text, err := os.ReadFile("../docs/errors.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[order.Reason]string{}
	for _, row := range reasonRow.FindAllStringSubmatch(string(text), -1) {
		if _, twice := out[order.Reason(row[1])]; twice {
			t.Errorf("%s is twice in docs/errors.md", row[1])
		}
		out[order.Reason(row[1])] = row[2]
	}
	return out
}

// refusedBody is an error in Connect's JSON.
type refusedBody struct {
	Code, Message string
	Details       []struct{ Type, Value string }

	info *errdetails.ErrorInfo
}

// refusedAs reads the error of a unary call, or that of the end of a stream.
func refusedAs(t *testing.T, body string) refusedBody {
	t.Helper()
	var stream struct{ Error *refusedBody }
	if i := strings.Index(body, `{"error":`); i >= 0 {
		body = body[i:]
	}
	got := refusedBody{info: &errdetails.ErrorInfo{}}
	stream.Error = &got
	var err error
	if strings.HasPrefix(body, `{"error":`) {
		err = json.Unmarshal([]byte(body), &stream)
	} else {
		err = json.Unmarshal([]byte(body), &got)
	}
	for _, d := range got.Details {
		if d.Type == "google.rpc.ErrorInfo" && err == nil {
			var raw []byte
			if raw, err = base64.RawStdEncoding.DecodeString(d.Value); err == nil {
				err = proto.Unmarshal(raw, got.info)
			}
		}
	}
	if err != nil {
		t.Fatalf("%s is not an error: %v", body, err)
	}
	return got
}

// fails provokes an error that no state of the shop leads to: the handler returns it.
func fails(err error) provocation {
	return func(t *testing.T, _ *refusingShop) string {
		t.Helper()
		e := startServer(t, Services{Checkout: fakeCheckout{place: func(context.Context, *spillwayv1.PlaceOrderRequest) (*spillwayv1.PlaceOrderResponse, error) {
			return nil, err
		}}})
		_, _, body := e.post(t, spillwayv1connect.CheckoutServicePlaceOrderProcedure, e.token(t, "c"), orderBody(), keyHeader, "k")
		return body
	}
}

var errUnforeseen = errors.New("unforeseen")
