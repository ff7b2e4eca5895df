package load

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/gen/hipstershop"
	"github.com/spillway/spillway/gen/hipstershop/hipstershopconnect"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// boutique is a shop whose customers use Online Boutique's interface, by plain gRPC. Their orders are read by an operator. The token of a customer
// is the user id.
type boutique struct {
	*remote
	operator        string
	carts           hipstershopconnect.CartServiceClient
	recommendations hipstershopconnect.RecommendationServiceClient
	products        hipstershopconnect.ProductCatalogServiceClient
	shipping        hipstershopconnect.ShippingServiceClient
	currencies      hipstershopconnect.CurrencyServiceClient
	checkout        hipstershopconnect.CheckoutServiceClient
	ads             hipstershopconnect.AdServiceClient
}

// DialBoutique is Dial for the scenario OnlineBoutique: url is the API, for the operator of the token, and boutiqueURL Online Boutique's interface.
func DialBoutique(url, boutiqueURL, operator string, connections int) Shop {
	transport := &http.Transport{MaxIdleConnsPerHost: connections, IdleConnTimeout: attemptTimeout, DisableCompression: true, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP2(true)
	transport.Protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: transport}
	opts := []connect.ClientOption{connect.WithGRPC(), connect.WithAcceptCompression("gzip", nil, nil), connect.WithReadMaxBytes(maxResponseBytes)}
	return &boutique{
		remote: dial(url, connections), operator: operator,
		carts:           hipstershopconnect.NewCartServiceClient(client, boutiqueURL, opts...),
		recommendations: hipstershopconnect.NewRecommendationServiceClient(client, boutiqueURL, opts...),
		products:        hipstershopconnect.NewProductCatalogServiceClient(client, boutiqueURL, opts...),
		shipping:        hipstershopconnect.NewShippingServiceClient(client, boutiqueURL, opts...),
		currencies:      hipstershopconnect.NewCurrencyServiceClient(client, boutiqueURL, opts...),
		checkout:        hipstershopconnect.NewCheckoutServiceClient(client, boutiqueURL, opts...),
		ads:             hipstershopconnect.NewAdServiceClient(client, boutiqueURL, opts...),
	}
}

// Session returns a new user id, as the front end gives one to each browser.
func (*boutique) Session(context.Context, string) (string, error) {
	return "load-" + strings.ToLower(rand.Text()), nil
}

// EmptyCart implements Shop.
func (s *boutique) EmptyCart(ctx context.Context, user string) error {
	_, err := s.carts.EmptyCart(ctx, &hipstershop.EmptyCartRequest{UserId: user})
	return err
}

// Place implements Shop. It orders the cart of the user.
func (s *boutique) Place(ctx context.Context, user string, req *spillwayv1.PlaceOrderRequest) (*spillwayv1.Order, error) {
	resp, err := s.checkout.PlaceOrder(ctx, &hipstershop.PlaceOrderRequest{
		UserId: user, UserCurrency: req.GetCurrencyCode(), Email: req.GetEmail(), Address: boutiqueAddress(),
		CreditCard: &hipstershop.CreditCardInfo{
			CreditCardNumber: req.GetCard().GetNumber(), CreditCardCvv: 672,
			CreditCardExpirationYear: req.GetCard().GetExpiryYear(), CreditCardExpirationMonth: req.GetCard().GetExpiryMonth(),
		},
	})
	if err != nil {
		return nil, err
	}
	return &spillwayv1.Order{Id: resp.GetOrder().GetOrderId(), State: spillwayv1.OrderState_ORDER_STATE_PAID}, nil // Others are errors.
}

// boutiqueAddress is that of the front end's form.
func boutiqueAddress() *hipstershop.Address {
	return &hipstershop.Address{StreetAddress: "1600 Amphitheatre Parkway", City: "Mountain View", State: "CA", Country: "United States", ZipCode: 94043}
}

// Orders implements Shop.
func (s *boutique) Orders(ctx context.Context, user, page string) (orders []*spillwayv1.Order, next string, err error) {
	resp, err := s.orders.ListOrders(as(ctx, s.operator), &spillwayv1.ListOrdersRequest{
		PageSize: pageSize, PageToken: page, CustomerId: order.BoutiquePrefix + user,
	})
	return resp.GetOrders(), resp.GetNextPageToken(), err
}

// Order implements Shop.
func (s *boutique) Order(ctx context.Context, _, id string) (*spillwayv1.Order, error) {
	return s.remote.Order(ctx, s.operator, id)
}
