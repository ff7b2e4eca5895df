package e2e

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	hs "github.com/spillway/spillway/gen/hipstershop"
	"github.com/spillway/spillway/test/realparts"
)

// boutiqueCard is the card in the form of Online Boutique's front end.
const boutiqueCard = "4432-8015-6152-0454"

// boutique is a shop with Online Boutique's interface, and a plain gRPC connection to it.
type boutique struct {
	*shop
	addr string
	conn *grpc.ClientConn
}

// withBoutique starts a shop by start, with flags for the interface.
func withBoutique(t *testing.T, start func(more ...string) *shop) *boutique {
	t.Helper()
	addr := realparts.FreeAddr(t)
	s := start("--online-boutique", "--online-boutique-listen", addr)
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &boutique{shop: s, addr: addr, conn: conn}
}

// invoke calls a procedure, such as "CartService/GetCart", as a generated gRPC stub does.
func (b *boutique) invoke(method string, req, resp proto.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return b.conn.Invoke(ctx, "/hipstershop."+method, req, resp)
}

// insist is invoke with retries while the error may pass, as clients make them.
func (b *boutique) insist(method string, req, resp proto.Message) (err error) {
	for began := time.Now(); ; <-time.After(retryEvery) {
		err = b.invoke(method, req, resp)
		code := status.Code(err)
		if code != codes.Unavailable && code != codes.ResourceExhausted && code != codes.Aborted || time.Since(began) > startTimeout {
			return err
		}
	}
}

func newUser() string { return strings.ToLower(rand.Text()) }

// fill puts units of a product into the cart of the user.
func (b *boutique) fill(user, sku string, quantity int32) {
	b.t.Helper()
	req := &hs.AddItemRequest{UserId: user, Item: &hs.CartItem{ProductId: sku, Quantity: quantity}}
	if err := b.insist("CartService/AddItem", req, &hs.Empty{}); err != nil {
		b.t.Fatalf("fill the cart: %v", err)
	}
}

func boutiqueAddress() *hs.Address {
	return &hs.Address{StreetAddress: "1600 Amphitheatre Parkway", City: "Mountain View", State: "CA", Country: "United States", ZipCode: 94043}
}

// orderOf is what the front end sends with the values of its form.
func orderOf(user string) *hs.PlaceOrderRequest {
	return &hs.PlaceOrderRequest{
		UserId: user, UserCurrency: "EUR", Email: "someone@example.com", Address: boutiqueAddress(),
		CreditCard: &hs.CreditCardInfo{
			CreditCardNumber: boutiqueCard, CreditCardCvv: 672, CreditCardExpirationYear: int32(time.Now().Year() + 2), CreditCardExpirationMonth: 1,
		},
	}
}

func (b *boutique) order(req *hs.PlaceOrderRequest) (*hs.OrderResult, error) {
	resp := &hs.PlaceOrderResponse{}
	err := b.invoke("CheckoutService/PlaceOrder", req, resp)
	return resp.GetOrder(), err
}

// onEachStorage runs the test on embedded storage and on real parts.
func onEachStorage(t *testing.T, test func(t *testing.T, b *boutique)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, withBoutique(t, func(more ...string) *shop { return embedded(t, more...) }))
	})
	t.Run("real parts", func(t *testing.T) {
		t.Parallel()
		test(t, withBoutique(t, func(more ...string) *shop { return onRealParts(t, realparts.Redis(t), more...) }))
	})
}

// boutiqueCall is a call and its expected result.
type boutiqueCall struct {
	name, method string
	req, resp    proto.Message
	code         codes.Code
	// text is contained in the error; want checks the response.
	text string
	want func() bool
}

// TestBoutique_Conformance makes calls of all 15 procedures over plain gRPC, as Online Boutique's clients do.
func TestBoutique_Conformance(t *testing.T) {
	onEachStorage(t, func(t *testing.T, b *boutique) {
		few := b.product(1)
		var names []string
		for _, c := range slices.Concat(catalogueCalls(), cartCalls(newUser()), moneyCalls(), orderCalls(newUser(), few)) {
			names = append(names, c.method)
			b.check(t, c)
		}
		slices.Sort(names)
		if n := len(slices.Compact(names)); n != 15 {
			t.Errorf("the table has calls of %d procedures, not of 15", n)
		}
	})
}

func (b *boutique) check(t *testing.T, c boutiqueCall) {
	t.Helper()
	err := b.insist(c.method, c.req, c.resp) // None of the calls is expected to be unavailable.
	switch got := status.Convert(err); {
	case got.Code() != c.code || !strings.Contains(got.Message(), c.text):
		t.Errorf("%s: %s %q; want %s %q", c.name, got.Code(), got.Message(), c.code, c.text)
	case c.want != nil && !c.want():
		t.Errorf("%s: %v is not as expected", c.name, c.resp)
	}
}

// boutiquePictures are the pictures that Online Boutique's front end has.
var boutiquePictures = map[string]string{
	"OLJCESPC7Z": "/static/img/products/sunglasses.jpg", "66VCHSJNUP": "/static/img/products/tank-top.jpg", "1YMWWN1N4O": "/static/img/products/watch.jpg",
	"L9ECAV7KIM": "/static/img/products/loafers.jpg", "2ZYFJ3GM2N": "/static/img/products/hairdryer.jpg", "0PUK6V6EV0": "/static/img/products/candle-holder.jpg",
	"LS4PSXUNUM": "/static/img/products/salt-and-pepper-shakers.jpg", "9SIQT8TOJO": "/static/img/products/bamboo-glass-jar.jpg", "6E92ZMYYFZ": "/static/img/products/mug.jpg",
}

func hasPictures(products []*hs.Product) bool {
	n := 0
	for _, p := range products {
		if want, ok := boutiquePictures[p.GetId()]; ok && p.GetPicture() == want {
			n++
		}
	}
	return n == len(boutiquePictures)
}

func catalogueCalls() []boutiqueCall {
	list, one, found, ads := &hs.ListProductsResponse{}, &hs.Product{}, &hs.SearchProductsResponse{}, &hs.AdResponse{}
	all, others, proposed := &hs.SearchProductsResponse{}, &hs.AdResponse{}, &hs.ListRecommendationsResponse{}
	const list9, rec = "ProductCatalogService/ListProducts", "RecommendationService/ListRecommendations"
	return []boutiqueCall{
		{name: "the catalogue", method: list9, req: &hs.Empty{}, resp: list, want: func() bool { return hasPictures(list.GetProducts()) }},
		{
			name: "a product", method: "ProductCatalogService/GetProduct", req: &hs.GetProductRequest{Id: hotSKU}, resp: one,
			want: func() bool {
				return one.GetName() == "Sunglasses" && one.GetPriceUsd().GetCurrencyCode() == "USD" && one.GetPriceUsd().GetUnits() == 19 &&
					one.GetPriceUsd().GetNanos() == 990_000_000 && slices.Equal(one.GetCategories(), []string{"accessories"})
			},
		},
		{name: "an unknown product", method: "ProductCatalogService/GetProduct", req: &hs.GetProductRequest{Id: "NONE"}, resp: &hs.Product{}, code: codes.NotFound},
		{
			name: "a search", method: "ProductCatalogService/SearchProducts", req: &hs.SearchProductsRequest{Query: "sunglasses"}, resp: found,
			want: func() bool { return len(found.GetResults()) == 1 && found.GetResults()[0].GetId() == hotSKU },
		},
		{
			name: "a search for nothing", method: "ProductCatalogService/SearchProducts", req: &hs.SearchProductsRequest{}, resp: all,
			want: func() bool { return hasPictures(all.GetResults()) },
		},
		{
			name: "ads of a category", method: "AdService/GetAds", req: &hs.AdRequest{ContextKeys: []string{"hair"}}, resp: ads,
			want: func() bool {
				return len(ads.GetAds()) == 1 && ads.GetAds()[0].GetRedirectUrl() == "/product/2ZYFJ3GM2N"
			},
		},
		{name: "ads of no category", method: "AdService/GetAds", req: &hs.AdRequest{}, resp: others, want: func() bool { return len(others.GetAds()) == 2 }},
		{
			name: "recommendations", method: rec, req: &hs.ListRecommendationsRequest{UserId: newUser(), ProductIds: []string{hotSKU}}, resp: proposed,
			// The category has four products.
			want: func() bool {
				ids := proposed.GetProductIds()
				return len(ids) == 5 && slices.Contains(ids, "1YMWWN1N4O") && slices.Contains(ids, "BP2KJ4NA8J") && !slices.Contains(ids, hotSKU)
			},
		},
	}
}

func cartCalls(user string) []boutiqueCall {
	const get, add = "CartService/GetCart", "CartService/AddItem"
	item := func(sku string, n int32) *hs.AddItemRequest {
		return &hs.AddItemRequest{UserId: user, Item: &hs.CartItem{ProductId: sku, Quantity: n}}
	}
	empty, full, emptied, proposed := &hs.Cart{}, &hs.Cart{}, &hs.Cart{}, &hs.ListRecommendationsResponse{}
	of := &hs.GetCartRequest{UserId: user}
	return []boutiqueCall{
		{name: "no cart", method: get, req: of, resp: empty, want: func() bool { return len(empty.GetItems()) == 0 && empty.GetUserId() == user }},
		{name: "a first item", method: add, req: item(hotSKU, 2), resp: &hs.Empty{}},
		{name: "more of it", method: add, req: item(hotSKU, 1), resp: &hs.Empty{}},
		{name: "an item that does not exist", method: add, req: item("NONE", 1), resp: &hs.Empty{}, code: codes.NotFound},
		{name: "no units of an item", method: add, req: item(hotSKU, 0), resp: &hs.Empty{}, code: codes.InvalidArgument},
		{name: "no item", method: add, req: &hs.AddItemRequest{UserId: user}, resp: &hs.Empty{}, code: codes.InvalidArgument},
		{name: "no user", method: get, req: &hs.GetCartRequest{}, resp: &hs.Cart{}, code: codes.InvalidArgument, text: "user_id"},
		{name: "a user with a colon", method: get, req: &hs.GetCartRequest{UserId: "guest:1"}, resp: &hs.Cart{}, code: codes.InvalidArgument, text: "user_id"},
		{name: "the cart", method: get, req: of, resp: full, want: func() bool {
			return len(full.GetItems()) == 1 && full.GetItems()[0].GetProductId() == hotSKU && full.GetItems()[0].GetQuantity() == 3
		}},
		{
			name: "recommendations beside a full cart", method: "RecommendationService/ListRecommendations",
			req: &hs.ListRecommendationsRequest{UserId: user, ProductIds: []string{"1YMWWN1N4O"}}, resp: proposed,
			want: func() bool {
				return len(proposed.GetProductIds()) == 5 && !slices.Contains(proposed.GetProductIds(), hotSKU)
			},
		},
		{name: "the cart is emptied", method: "CartService/EmptyCart", req: &hs.EmptyCartRequest{UserId: user}, resp: &hs.Empty{}},
		{name: "the empty cart", method: get, req: of, resp: emptied, want: func() bool { return len(emptied.GetItems()) == 0 }},
	}
}

// isMoney compares an amount.
func isMoney(m *hs.Money, currency string, units int64, nanos int32) bool {
	return m.GetCurrencyCode() == currency && m.GetUnits() == units && m.GetNanos() == nanos
}

func moneyCalls() []boutiqueCall {
	codesOf, yen, fine := &hs.GetSupportedCurrenciesResponse{}, &hs.Money{}, &hs.Money{}
	domestic, abroad, unknown, nothing := &hs.GetQuoteResponse{}, &hs.GetQuoteResponse{}, &hs.GetQuoteResponse{}, &hs.GetQuoteResponse{}
	convert := func(units int64, nanos int32, to string) *hs.CurrencyConversionRequest {
		return &hs.CurrencyConversionRequest{From: &hs.Money{CurrencyCode: "USD", Units: units, Nanos: nanos}, ToCode: to}
	}
	items := []*hs.CartItem{{ProductId: hotSKU, Quantity: 2}}
	const quote, change = "ShippingService/GetQuote", "CurrencyService/Convert"
	return []boutiqueCall{
		{name: "the currencies", method: "CurrencyService/GetSupportedCurrencies", req: &hs.Empty{}, resp: codesOf, want: func() bool {
			return slices.Contains(codesOf.GetCurrencyCodes(), "USD") && slices.Contains(codesOf.GetCurrencyCodes(), "TRY")
		}},
		{name: "dollars in yen", method: change, req: convert(19, 990_000_000, "JPY"), resp: yen, want: func() bool {
			return yen.GetCurrencyCode() == "JPY" && yen.GetUnits() > 1000 && yen.GetNanos() == 0
		}},
		{
			name:   "an amount finer than cents",
			method: change,
			req:    convert(1, 995_000_000, "USD"),
			resp:   fine,
			want:   func() bool { return isMoney(fine, "USD", 2, 0) },
		},
		{name: "an unknown currency", method: change, req: convert(1, 0, "XXX"), resp: &hs.Money{}, code: codes.InvalidArgument},
		{name: "no amount", method: change, req: &hs.CurrencyConversionRequest{ToCode: "EUR"}, resp: &hs.Money{}, code: codes.InvalidArgument},
		{
			name:   "a quote",
			method: quote,
			req:    &hs.GetQuoteRequest{Address: boutiqueAddress(), Items: items},
			resp:   domestic,
			want:   func() bool { return isMoney(domestic.GetCostUsd(), "USD", 5, 970_000_000) },
		},
		{
			name:   "a quote abroad",
			method: quote,
			req:    &hs.GetQuoteRequest{Address: &hs.Address{Country: "germany"}, Items: items},
			resp:   abroad,
			want:   func() bool { return isMoney(abroad.GetCostUsd(), "USD", 9, 970_000_000) },
		},
		{
			name:   "a quote of the cart page",
			method: quote,
			req:    &hs.GetQuoteRequest{Items: items},
			resp:   unknown,
			want:   func() bool { return isMoney(unknown.GetCostUsd(), "USD", 5, 970_000_000) },
		},
		{
			name:   "a quote of nothing",
			method: quote,
			req:    &hs.GetQuoteRequest{},
			resp:   nothing,
			want:   func() bool { return isMoney(nothing.GetCostUsd(), "USD", 0, 0) },
		},
		{
			name:   "a quote to nowhere",
			method: quote,
			req:    &hs.GetQuoteRequest{Address: &hs.Address{Country: "Atlantis"}, Items: items},
			resp:   &hs.GetQuoteResponse{},
			code:   codes.InvalidArgument,
			text:   "country",
		},
	}
}

// orderCalls place orders. Of the product few there is one unit.
func orderCalls(user, few string) []boutiqueCall {
	parcel, charged, placed, cart, other := &hs.ShipOrderResponse{}, &hs.ChargeResponse{}, &hs.PlaceOrderResponse{}, &hs.Cart{}, newUser()
	amount := &hs.Money{CurrencyCode: "USD", Units: 12}
	card := func(number string, year int32) *hs.CreditCardInfo {
		return &hs.CreditCardInfo{CreditCardNumber: number, CreditCardCvv: 672, CreditCardExpirationYear: year, CreditCardExpirationMonth: 1}
	}
	refused := orderOf(user)
	refused.CreditCard = card("4000000000000002", 2090)
	nowhere := orderOf(user)
	nowhere.Address.Country = "Atlantis"
	add := func(user, sku string, n int32) boutiqueCall {
		return boutiqueCall{
			name: "fill the cart with " + sku, method: "CartService/AddItem", resp: &hs.Empty{},
			req: &hs.AddItemRequest{UserId: user, Item: &hs.CartItem{ProductId: sku, Quantity: n}},
		}
	}
	const charge, place, confirm = "PaymentService/Charge", "CheckoutService/PlaceOrder", "EmailService/SendOrderConfirmation"
	return []boutiqueCall{
		{
			name: "a parcel without an order", method: "ShippingService/ShipOrder", resp: parcel, want: func() bool { return parcel.GetTrackingId() != "" },
			req: &hs.ShipOrderRequest{Address: boutiqueAddress(), Items: []*hs.CartItem{{ProductId: hotSKU, Quantity: 1}}},
		},
		{
			name:   "a charge without an order",
			method: charge,
			req:    &hs.ChargeRequest{Amount: amount, CreditCard: card(boutiqueCard, 2090)},
			resp:   charged,
			want:   func() bool { return charged.GetTransactionId() != "" },
		},
		{
			name:   "an expired card",
			method: charge,
			req:    &hs.ChargeRequest{Amount: amount, CreditCard: card(boutiqueCard, 2020)},
			resp:   &hs.ChargeResponse{},
			code:   codes.InvalidArgument,
			text:   "expired_card",
		},
		{
			name:   "a mistyped card",
			method: charge,
			req:    &hs.ChargeRequest{Amount: amount, CreditCard: card("4432-8015-6152-0455", 2090)},
			resp:   &hs.ChargeResponse{},
			code:   codes.InvalidArgument,
			text:   "incorrect_number",
		},
		{name: "no card", method: charge, req: &hs.ChargeRequest{Amount: amount}, resp: &hs.ChargeResponse{}, code: codes.InvalidArgument},
		{
			name:   "a mail without an order",
			method: confirm,
			req:    &hs.SendOrderConfirmationRequest{Email: "a@example.com", Order: &hs.OrderResult{OrderId: "x"}},
			resp:   &hs.Empty{},
		},
		{name: "a mail to nobody", method: confirm, req: &hs.SendOrderConfirmationRequest{}, resp: &hs.Empty{}, code: codes.InvalidArgument},

		{name: "an order of an empty cart", method: place, req: orderOf(user), resp: &hs.PlaceOrderResponse{}, code: codes.FailedPrecondition, text: "cart is empty"},
		add(user, hotSKU, 2),
		{name: "an order to nowhere", method: place, req: nowhere, resp: &hs.PlaceOrderResponse{}, code: codes.InvalidArgument, text: "country"},
		{name: "a refused card", method: place, req: refused, resp: &hs.PlaceOrderResponse{}, code: codes.InvalidArgument, text: "declined"},
		{name: "another card", method: place, req: orderOf(user), resp: placed, want: func() bool {
			o := placed.GetOrder()
			return o.GetOrderId() != "" && o.GetShippingTrackingId() != "" && proto.Equal(o.GetShippingAddress(), boutiqueAddress()) &&
				o.GetShippingCost().GetCurrencyCode() == "EUR" && len(o.GetItems()) == 1 && o.GetItems()[0].GetItem().GetQuantity() == 2 &&
				o.GetItems()[0].GetCost().GetCurrencyCode() == "EUR" && o.GetItems()[0].GetCost().GetUnits() > 10
		}},
		{
			name:   "the ordered cart",
			method: "CartService/GetCart",
			req:    &hs.GetCartRequest{UserId: user},
			resp:   cart,
			want:   func() bool { return len(cart.GetItems()) == 0 },
		},
		add(other, few, 2),
		{
			name:   "more than there are",
			method: place,
			req:    orderOf(other),
			resp:   &hs.PlaceOrderResponse{},
			code:   codes.FailedPrecondition,
			text:   "sold out: thing (2 in the cart, 1 left)",
		},
	}
}

// boutiqueServices are the services, by the names under which Kubernetes probes their health.
var boutiqueServices = []string{
	"CartService", "RecommendationService", "ProductCatalogService", "ShippingService", "CurrencyService", "PaymentService", "EmailService", "CheckoutService", "AdService",
}

// TestBoutique_HealthReflectionAndTrust checks what is on the address beside the procedures, and that no token names one of its customers.
func TestBoutique_HealthReflectionAndTrust(t *testing.T) {
	t.Parallel()
	b := withBoutique(t, func(more ...string) *shop { return embedded(t, more...) })
	client := healthpb.NewHealthClient(b.conn)
	for _, name := range append([]string{""}, boutiqueServices...) {
		if name != "" {
			name = "hipstershop." + name
		}
		got, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
		if err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v", name, got, err)
		}
	}
	out, err := command(t, program(t, "grpcurl"), "-plaintext", b.addr, "list").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "hipstershop.AdService") {
		t.Errorf("reflection: %v\n%s", err, out)
	}
	if code := status.Code(b.conn.Invoke(t.Context(), "/spillway.v1.CatalogService/ListProducts", &hs.Empty{}, &hs.Empty{})); code != codes.Unimplemented {
		t.Errorf("the API at the address without tokens: %s", code)
	}
	cmd := command(t, binary, "token", "--customer", "boutique:ada")
	cmd.Env = append(cmd.Environ(), "SPILLWAY_AUTH_KEY="+authKey)
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "boutique:") {
		t.Errorf("a token of a user of Online Boutique: %v\n%s", err, out)
	}
}
