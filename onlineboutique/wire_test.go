package onlineboutique

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/spillway/spillway/gen/hipstershop"
)

// wireInterface is the interface as Online Boutique's clients have it: each procedure with its messages, and each field with its number and type.
const wireInterface = `
AdService.GetAds(AdRequest) AdResponse
CartService.AddItem(AddItemRequest) Empty
CartService.EmptyCart(EmptyCartRequest) Empty
CartService.GetCart(GetCartRequest) Cart
CheckoutService.PlaceOrder(PlaceOrderRequest) PlaceOrderResponse
CurrencyService.Convert(CurrencyConversionRequest) Money
CurrencyService.GetSupportedCurrencies(Empty) GetSupportedCurrenciesResponse
EmailService.SendOrderConfirmation(SendOrderConfirmationRequest) Empty
PaymentService.Charge(ChargeRequest) ChargeResponse
ProductCatalogService.GetProduct(GetProductRequest) Product
ProductCatalogService.ListProducts(Empty) ListProductsResponse
ProductCatalogService.SearchProducts(SearchProductsRequest) SearchProductsResponse
RecommendationService.ListRecommendations(ListRecommendationsRequest) ListRecommendationsResponse
ShippingService.GetQuote(GetQuoteRequest) GetQuoteResponse
ShippingService.ShipOrder(ShipOrderRequest) ShipOrderResponse
Ad: 1 redirect_url string, 2 text string
AdRequest: 1 context_keys []string
AdResponse: 1 ads []Ad
AddItemRequest: 1 user_id string, 2 item CartItem
Address: 1 street_address string, 2 city string, 3 state string, 4 country string, 5 zip_code int32
Cart: 1 user_id string, 2 items []CartItem
CartItem: 1 product_id string, 2 quantity int32
ChargeRequest: 1 amount Money, 2 credit_card CreditCardInfo
ChargeResponse: 1 transaction_id string
CreditCardInfo: 1 credit_card_number string, 2 credit_card_cvv int32, 3 credit_card_expiration_year int32, 4 credit_card_expiration_month int32
CurrencyConversionRequest: 1 from Money, 2 to_code string
Empty:
EmptyCartRequest: 1 user_id string
GetCartRequest: 1 user_id string
GetProductRequest: 1 id string
GetQuoteRequest: 1 address Address, 2 items []CartItem
GetQuoteResponse: 1 cost_usd Money
GetSupportedCurrenciesResponse: 1 currency_codes []string
ListProductsResponse: 1 products []Product
ListRecommendationsRequest: 1 user_id string, 2 product_ids []string
ListRecommendationsResponse: 1 product_ids []string
Money: 1 currency_code string, 2 units int64, 3 nanos int32
OrderItem: 1 item CartItem, 2 cost Money
OrderResult: 1 order_id string, 2 shipping_tracking_id string, 3 shipping_cost Money, 4 shipping_address Address, 5 items []OrderItem
PlaceOrderRequest: 1 user_id string, 2 user_currency string, 3 address Address, 5 email string, 6 credit_card CreditCardInfo
PlaceOrderResponse: 1 order OrderResult
Product: 1 id string, 2 name string, 3 description string, 4 picture string, 5 price_usd Money, 6 categories []string
SearchProductsRequest: 1 query string
SearchProductsResponse: 1 results []Product
SendOrderConfirmationRequest: 1 email string, 2 order OrderResult
ShipOrderRequest: 1 address Address, 2 items []CartItem
ShipOrderResponse: 1 tracking_id string
`

// TestWire compares the generated code with the interface: clients that were built years ago must not notice a change.
func TestWire(t *testing.T) {
	t.Parallel()
	file := hipstershop.File_hipstershop_hipstershop_proto
	var got []string
	for i := range file.Services().Len() {
		s := file.Services().Get(i)
		for j := range s.Methods().Len() {
			m := s.Methods().Get(j)
			got = append(got, fmt.Sprintf("%s.%s(%s) %s", s.Name(), m.Name(), m.Input().Name(), m.Output().Name()))
		}
	}
	for i := range file.Messages().Len() {
		m := file.Messages().Get(i)
		fields := make([]string, m.Fields().Len())
		for j := range fields {
			fields[j] = describe(m.Fields().Get(j))
		}
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s: %s", m.Name(), strings.Join(fields, ", "))))
	}
	want := strings.Split(strings.TrimSpace(wireInterface), "\n")
	slices.Sort(got)
	slices.Sort(want)
	if file.Package() != "hipstershop" || !slices.Equal(got, want) {
		t.Errorf("the interface of package %s is\n%s\nwant\n%s", file.Package(), strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func describe(f protoreflect.FieldDescriptor) string {
	kind := f.Kind().String()
	if f.Message() != nil {
		kind = string(f.Message().Name())
	}
	if f.IsList() {
		kind = "[]" + kind
	}
	return fmt.Sprintf("%d %s %s", f.Number(), f.Name(), kind)
}

// TestLimitedAs checks that each procedure has limits.
func TestLimitedAs(t *testing.T) {
	t.Parallel()
	limits := LimitedAs()
	services := hipstershop.File_hipstershop_hipstershop_proto.Services()
	n := 0
	for i := range services.Len() {
		for j := range services.Get(i).Methods().Len() {
			n++
			procedure := fmt.Sprintf("/%s/%s", services.Get(i).FullName(), services.Get(i).Methods().Get(j).Name())
			if limits[procedure] == "" {
				t.Errorf("%s has no limits", procedure)
			}
		}
	}
	if len(limits) != n || len(Services(Shop{})) != services.Len() {
		t.Errorf("%d limits for %d procedures, %d services of %d", len(limits), n, len(Services(Shop{})), services.Len())
	}
}
