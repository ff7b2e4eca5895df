package load

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// Shop is what a customer and an operator can ask of a shop.
type Shop interface {
	// Session starts a guest's session. With an operator's token, sessions are not limited; it may be empty.
	Session(ctx context.Context, operator string) (token string, err error)
	// Products is a page of the catalogue; the token of the next is empty on the last.
	Products(ctx context.Context, page string) (products []*spillwayv1.Product, next string, err error)
	Product(ctx context.Context, sku string) (*spillwayv1.Product, error)
	// Create makes a product (operator).
	Create(ctx context.Context, token, sku string, units int64) error
	EmptyCart(ctx context.Context, token string) error
	SetQuantity(ctx context.Context, token, sku string, units int32) error
	Place(ctx context.Context, token string, req *spillwayv1.PlaceOrderRequest) (*spillwayv1.Order, error)
	// Orders is a page of the token's orders, newest first.
	Orders(ctx context.Context, token, page string) (orders []*spillwayv1.Order, next string, err error)
	Order(ctx context.Context, token, id string) (*spillwayv1.Order, error)
	// Audit checks the books (operator).
	Audit(ctx context.Context, token string, drained bool) (*spillwayv1.RunAuditResponse, error)
}

const (
	// pageSize is the largest page that the shop gives.
	pageSize = 100
	// answerMax bounds an answer, in bytes: an audit with 1,000 findings has some 300 kB.
	answerMax = 8 << 20
)

// remote is a shop at a URL.
type remote struct {
	sessions spillwayv1connect.SessionServiceClient
	catalog  spillwayv1connect.CatalogServiceClient
	carts    spillwayv1connect.CartServiceClient
	checkout spillwayv1connect.CheckoutServiceClient
	orders   spillwayv1connect.OrderServiceClient
	audits   spillwayv1connect.AuditServiceClient
}

// Dial makes the client of a shop, with as many connections as there may be calls at once. It speaks binary Connect without
// compression: what the client spends, it takes from the shop where both share a machine.
func Dial(url string, connections int) Shop {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: connections, IdleConnTimeout: attemptTimeout, DisableCompression: true,
	}
	client := &http.Client{Transport: transport}
	opts := []connect.ClientOption{connect.WithAcceptCompression("gzip", nil, nil), connect.WithReadMaxBytes(answerMax)}
	return &remote{
		sessions: spillwayv1connect.NewSessionServiceClient(client, url, opts...),
		catalog:  spillwayv1connect.NewCatalogServiceClient(client, url, opts...),
		carts:    spillwayv1connect.NewCartServiceClient(client, url, opts...),
		checkout: spillwayv1connect.NewCheckoutServiceClient(client, url, opts...),
		orders:   spillwayv1connect.NewOrderServiceClient(client, url, opts...),
		audits:   spillwayv1connect.NewAuditServiceClient(client, url, opts...),
	}
}

// as makes calls of the token's owner.
func as(ctx context.Context, token string) context.Context {
	ctx, call := connect.NewClientContext(ctx)
	call.RequestHeader().Set("Authorization", "Bearer "+token)
	return ctx
}

// Session starts a guest's session.
func (r *remote) Session(ctx context.Context, operator string) (string, error) {
	if operator != "" {
		ctx = as(ctx, operator)
	}
	resp, err := r.sessions.StartGuestSession(ctx, &spillwayv1.StartGuestSessionRequest{})
	return resp.GetToken(), err
}

// Products is a page of the catalogue.
func (r *remote) Products(ctx context.Context, page string) (products []*spillwayv1.Product, next string, err error) {
	resp, err := r.catalog.ListProducts(ctx, &spillwayv1.ListProductsRequest{PageSize: pageSize, PageToken: page})
	return resp.GetProducts(), resp.GetNextPageToken(), err
}

// Product is one product.
func (r *remote) Product(ctx context.Context, sku string) (*spillwayv1.Product, error) {
	resp, err := r.catalog.GetProduct(ctx, &spillwayv1.GetProductRequest{Sku: sku})
	return resp.GetProduct(), err
}

// Create makes a product.
func (r *remote) Create(ctx context.Context, token, sku string, units int64) error {
	_, err := r.catalog.CreateProduct(as(ctx, token), &spillwayv1.CreateProductRequest{
		Product: &spillwayv1.ProductInput{
			// A few buyers place all orders.
			MaxPerCustomer: proto.Int32(0),
			Sku:            sku, Name: "Load test", Price: &spillwayv1.Money{CurrencyCode: "USD", Units: 1, Nanos: 990_000_000},
		},
		InitialStock: units,
	})
	return err
}

// EmptyCart forgets what is in the cart.
func (r *remote) EmptyCart(ctx context.Context, token string) error {
	_, err := r.carts.EmptyCart(as(ctx, token), &spillwayv1.EmptyCartRequest{})
	return err
}

// SetQuantity puts units of a product into the cart.
func (r *remote) SetQuantity(ctx context.Context, token, sku string, units int32) error {
	_, err := r.carts.SetQuantity(as(ctx, token), &spillwayv1.SetQuantityRequest{Sku: sku, Quantity: units})
	return err
}

// Place places an order.
func (r *remote) Place(ctx context.Context, token string, req *spillwayv1.PlaceOrderRequest) (*spillwayv1.Order, error) {
	resp, err := r.checkout.PlaceOrder(as(ctx, token), req)
	return resp.GetOrder(), err
}

// Orders is a page of orders.
func (r *remote) Orders(ctx context.Context, token, page string) (orders []*spillwayv1.Order, next string, err error) {
	resp, err := r.orders.ListOrders(as(ctx, token), &spillwayv1.ListOrdersRequest{PageSize: pageSize, PageToken: page})
	return resp.GetOrders(), resp.GetNextPageToken(), err
}

// Order is one order.
func (r *remote) Order(ctx context.Context, token, id string) (*spillwayv1.Order, error) {
	resp, err := r.orders.GetOrder(as(ctx, token), &spillwayv1.GetOrderRequest{OrderId: id})
	return resp.GetOrder(), err
}

// Audit checks the books.
func (r *remote) Audit(ctx context.Context, token string, drained bool) (*spillwayv1.RunAuditResponse, error) {
	return r.audits.RunAudit(as(ctx, token), &spillwayv1.RunAuditRequest{Drained: drained})
}
