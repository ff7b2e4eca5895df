package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// allProcedures are all RPCs of the API, by reflection, so that a new one cannot be forgotten.
func allProcedures(t *testing.T) []string {
	t.Helper()
	var out []string
	protoregistry.GlobalFiles.RangeFilesByPackage("spillway.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				p := "/" + string(s.FullName()) + "/" + string(m.Name())
				if m.IsStreamingClient() || m.IsStreamingServer() != streams[p] {
					t.Errorf("%s streams to the client: %v, from it: %v, and the table of streams says %v: those in it set the deadlines of their "+
						"connections and have bounds of their own", p, m.IsStreamingServer(), m.IsStreamingClient(), streams[p])
				}
				out = append(out, p)
			}
		}
		return true
	})
	if len(out) == 0 {
		t.Fatal("no procedures found")
	}
	return out
}

func TestPermissions_EveryProcedureHasOne(t *testing.T) {
	all := allProcedures(t)
	known := map[string]bool{}
	for _, p := range all {
		known[p] = true
		if _, ok := permissions[p]; !ok {
			t.Errorf("%s is not in the table of permissions: nobody can call it", p)
		}
	}
	for p := range permissions {
		if !known[p] {
			t.Errorf("%s is in the table of permissions but not in the API", p)
		}
	}
}

// TestAuthenticate_EachProcedureByEachRole calls every procedure with every kind of token. An empty request that gets past the door is met by the
// validation rules or the handler.
func TestAuthenticate_EachProcedureByEachRole(t *testing.T) {
	e := startServer(t, allServices(t))
	tokens := map[string]string{
		"nobody": "", "guest": e.token(t, "g"), "operator": e.token(t, "o", auth.Operator), "service": e.token(t, "s", auth.Service),
		"reader": e.token(t, "r", auth.OperatorRead),
	}
	const (
		in     = 0
		no     = http.StatusUnauthorized
		denied = http.StatusForbidden
		// gone is not served: 404 without the service, 501 for a procedure of one that is served.
		gone = http.StatusNotFound
	)
	doors := map[string]map[string]int{
		"anyone":    {"nobody": in, "guest": in, "operator": in, "service": in, "reader": in},
		"customers": {"nobody": no, "guest": in, "operator": in, "service": in, "reader": in},
		"operators": {"nobody": no, "guest": denied, "operator": in, "service": denied, "reader": denied},
		"readers":   {"nobody": no, "guest": denied, "operator": in, "service": denied, "reader": in},
		"internal":  {"nobody": gone, "guest": gone, "operator": gone, "service": gone, "reader": gone},
	}
	const s = "/spillway.v1."
	// Written out by hand, so that the table of permissions is checked against what the API promises, not against itself.
	doorOf := map[string]string{
		s + "SessionService/StartGuestSession": "anyone",
		s + "CatalogService/ListProducts":      "anyone", s + "CatalogService/GetProduct": "anyone", s + "CatalogService/GetProducts": "anyone", s + "CatalogService/SearchProducts": "anyone",
		s + "CatalogService/CreateProduct": "operators", s + "CatalogService/UpdateProduct": "operators", s + "CatalogService/AdjustStock": "operators",
		s + "CatalogService/CreateProducts": "operators", s + "CatalogService/AdjustStocks": "operators",
		s + "OrderService/RefundOrder": "operators", s + "OrderService/GetOrderTimeline": "readers",
		s + "CurrencyService/GetSupportedCurrencies": "anyone", s + "CurrencyService/Convert": "anyone",
		s + "ShippingService/GetQuote": "anyone", s + "ShippingService/ShipOrder": "internal",
		s + "PaymentService/Charge": "internal", s + "PaymentService/GetCharge": "internal", s + "PaymentService/Refund": "internal",
		s + "PaymentService/Void": "internal", s + "PaymentService/ExecuteRefund": "internal", s + "EmailService/SendOrderMails": "internal",
		s + "DeadLetterService/ListDeadLetters": "readers", s + "DeadLetterService/GetDeadLetter": "readers",
		s + "DeadLetterService/EditDeadLetter": "operators", s + "DeadLetterService/ReplayDeadLetter": "operators",
		s + "DeadLetterService/DiscardDeadLetter": "operators", s + "AuditService/RunAudit": "readers",
		s + "OpsService/WatchPipeline": "readers", s + "AuditService/ListBalances": "readers", s + "DeadLetterService/SummarizeDeadLetters": "readers",
		s + "DeadLetterService/ReplayDeadLetters": "operators", s + "DeadLetterService/DiscardDeadLetters": "operators",
	}
	for _, procedure := range allProcedures(t) {
		door, ok := doorOf[procedure]
		if !ok {
			door = "customers"
		}
		for who, token := range tokens {
			want := doors[door][who]
			status, _, body := e.try(t, procedure, token)
			if status == http.StatusNotImplemented && want == gone && strings.Contains(body, "internal") {
				status = gone
			}
			if got := status; (want != in && got != want) || (want == in && (got == no || got == denied)) {
				t.Errorf("%s by %s: status %d %s; want %d (0 is let in)", procedure, who, got, body, want)
			}
		}
	}
}

// try sends an empty request. A stream's answer is 200 with the error in its last message: that is returned as the status it stands for.
func (e *edgeFixture) try(t *testing.T, procedure, token string, headers ...string) (int, http.Header, string) {
	t.Helper()
	if !streams[procedure] {
		return e.post(t, procedure, token, "{}", headers...)
	}
	status, h, body := e.post(t, procedure, token, "\x00\x00\x00\x00\x02{}", append(headers, "Content-Type", "application/connect+json")...)
	if status != http.StatusOK || len(body) < 5 {
		t.Errorf("%s: %d %q", procedure, status, body)
		return status, h, body
	}
	var end struct {
		Error    struct{ Code string }
		Metadata http.Header
	}
	if err := json.Unmarshal([]byte(body[5:]), &end); err != nil {
		t.Errorf("%s: %q: %v", procedure, body, err)
	}
	switch end.Error.Code {
	case "unauthenticated":
		return http.StatusUnauthorized, end.Metadata, body
	case "permission_denied":
		return http.StatusForbidden, end.Metadata, body
	}
	return status, end.Metadata, body
}

func TestAuthenticate_BadToken(t *testing.T) {
	e := startServer(t, allServices(t))
	expired, _, err := e.tokens.Mint(auth.Caller{Customer: "c"}, -time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{
		"iss": "spillway", "sub": "c", "roles": []string{"operator"}, "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	good := e.token(t, "c")
	for name, header := range map[string]string{
		"expired": "Bearer " + expired, "alg none": "Bearer " + unsigned, "forged": "Bearer " + good[:len(good)-3] + "AAA",
		"no token": "Bearer ", "another scheme": "Basic Yzpj", "no scheme": good,
	} {
		// A public procedure and one that is not: who sends a token means it.
		for _, procedure := range []string{
			spillwayv1connect.CurrencyServiceGetSupportedCurrenciesProcedure, spillwayv1connect.CartServiceGetCartProcedure,
			spillwayv1connect.OrderServiceWatchOrderProcedure,
		} {
			status, h, body := e.try(t, procedure, "", "Authorization", header)
			if status != http.StatusUnauthorized || h.Get("Www-Authenticate") == "" || !strings.Contains(body, `"unauthenticated"`) {
				t.Errorf("%s to %s: %d %q %s; want 401 with WWW-Authenticate", name, procedure, status, h.Get("Www-Authenticate"), body)
			}
		}
	}
}

func TestAuthenticate_ForwardedHeadersAreIgnored(t *testing.T) {
	e := startServer(t, allServices(t))
	for _, name := range []string{"X-Forwarded-User", "X-Customer-Id", "X-User-Id", "X-Forwarded-For", "Forwarded", "X-Roles"} {
		if status, _, body := e.post(t, spillwayv1connect.CartServiceGetCartProcedure, "", "{}", name, "operator"); status != http.StatusUnauthorized {
			t.Errorf("%s let the caller in: %d %s", name, status, body)
		}
	}
}

// TestOperatorRead_ReadsAllAndChangesNothing: also where a call is open to every customer, for orders of others.
func TestOperatorRead_ReadsAllAndChangesNothing(t *testing.T) {
	theirs, own := orderOf("they", order.Pending, 0), orderOf("r", order.Pending, 0)
	reader := OrderReader{Hot: stubHotOrders{}, Rows: stubRows{orders: []order.Order{theirs, own}}, Log: discardLog}
	services := allServices(t)
	services.Order = Orders{Reader: reader, Changing: reader}
	services.Checkout = &Checkout{Reader: reader}
	s := &fakeCatalog{products: []store.Product{{SKU: "A", Archived: true}}}
	services.Catalog = Catalog{Products: s, Cache: s, Available: s}
	e := startServer(t, services)
	token := e.token(t, "r", auth.OperatorRead)
	named := `{"orderId":"` + string(theirs.ID) + `"`
	for procedure, body := range map[string]string{
		spillwayv1connect.OrderServiceGetOrderProcedure:       named + "}",
		spillwayv1connect.OrderServiceListOrdersProcedure:     `{"allCustomers":true}`,
		spillwayv1connect.CatalogServiceListProductsProcedure: `{"includeArchived":true}`,
	} {
		if status, _, got := e.post(t, procedure, token, body); status != http.StatusOK {
			t.Errorf("%s: %d %s; want 200", procedure, status, got)
		}
	}
	for procedure, body := range map[string]string{
		spillwayv1connect.OrderServiceCancelOrderProcedure: named + "}",
		spillwayv1connect.CheckoutServicePayOrderProcedure: named + `,"card":{"number":"4242424242424242","cvv":"123","expiryYear":2090,"expiryMonth":1}}`,
		spillwayv1connect.OrderServiceRefundOrderProcedure: named + `,"reason":"r","idempotencyKey":"k"}`,
	} {
		if status, _, got := e.post(t, procedure, token, body); status != http.StatusForbidden || !strings.Contains(got, "ROLE_REQUIRED") {
			t.Errorf("%s: %d %s; want 403 with ROLE_REQUIRED", procedure, status, got)
		}
	}
	ctx := as(t.Context(), "r", auth.OperatorRead)
	if _, err := reader.ReadToChange(ctx, string(own.ID)); err != nil {
		t.Errorf("an own order: %v; want it, as for every customer", err)
	}
}

// TestAuthenticate_CustomerHeaderOnThePublicPort: a checkout whose --cart-url is a public port would find every cart empty, because the header counts on the internal
// port only. It gets an error that tells what is wrong.
func TestAuthenticate_CustomerHeaderOnThePublicPort(t *testing.T) {
	e := startServer(t, allServices(t))
	for who, token := range map[string]string{"a service": e.token(t, "s", auth.Service), "a customer": e.token(t, "c")} {
		status, _, body := e.post(t, spillwayv1connect.CartServiceGetCartProcedure, token, "{}", auth.CustomerHeader, "ada")
		if status != http.StatusNotImplemented || !strings.Contains(body, "--internal-listen") {
			t.Errorf("%s: %d %s", who, status, body)
		}
	}
}
