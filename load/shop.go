package load

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// Shop is the API of a shop for customers and operators.
type Shop interface {
	// Session starts a guest session and returns its token. With an operator's token, sessions are not limited; it may
	// be empty.
	Session(ctx context.Context, operator string) (token string, err error)
	// Products returns a page of the catalogue, and the token of the next page, empty after the last.
	Products(ctx context.Context, page string) (products []*spillwayv1.Product, next string, err error)
	Product(ctx context.Context, sku string) (*spillwayv1.Product, error)
	// Create creates a product (role operator).
	Create(ctx context.Context, token, sku string, units int64) error
	EmptyCart(ctx context.Context, token string) error
	SetQuantity(ctx context.Context, token, sku string, units int32) error
	Place(ctx context.Context, token string, req *spillwayv1.PlaceOrderRequest) (*spillwayv1.Order, error)
	// Orders returns a page of the orders of the token's customer, newest first.
	Orders(ctx context.Context, token, page string) (orders []*spillwayv1.Order, next string, err error)
	Order(ctx context.Context, token, id string) (*spillwayv1.Order, error)
	// Audit runs the shop's audit (role operator).
	Audit(ctx context.Context, token string, drained bool) (*spillwayv1.RunAuditResponse, error)
}

const (
	// pageSize is the maximum page size of the shop.
	pageSize = 100
	// maxResponseBytes is the maximum size of a response: an audit with 1,000 violations has about 300 kB.
	maxResponseBytes = 8 << 20
)

// remote is a Shop at a URL.
type remote struct {
	sessions spillwayv1connect.SessionServiceClient
	catalog  spillwayv1connect.CatalogServiceClient
	carts    spillwayv1connect.CartServiceClient
	checkout spillwayv1connect.CheckoutServiceClient
	orders   spillwayv1connect.OrderServiceClient
	audits   spillwayv1connect.AuditServiceClient
}

// Dial returns a client of the shop at the URL, with as many connections as concurrent calls. It uses binary Connect
// without compression, because the CPU time of the client reduces that of a shop on the same machine. It does not
// connect.
func Dial(url string, connections int) Shop { return dial(url, connections) }

func dial(url string, connections int) *remote {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: connections, IdleConnTimeout: attemptTimeout, DisableCompression: true,
	}
	client := &http.Client{Transport: transport}
	opts := []connect.ClientOption{connect.WithAcceptCompression("gzip", nil, nil), connect.WithReadMaxBytes(maxResponseBytes)}
	return &remote{
		sessions: spillwayv1connect.NewSessionServiceClient(client, url, opts...),
		catalog:  spillwayv1connect.NewCatalogServiceClient(client, url, opts...),
		carts:    spillwayv1connect.NewCartServiceClient(client, url, opts...),
		checkout: spillwayv1connect.NewCheckoutServiceClient(client, url, opts...),
		orders:   spillwayv1connect.NewOrderServiceClient(client, url, opts...),
		audits:   spillwayv1connect.NewAuditServiceClient(client, url, opts...),
	}
}

// as adds the token to the calls with the context.
func as(ctx context.Context, token string) context.Context {
	ctx, call := connect.NewClientContext(ctx)
	call.RequestHeader().Set("Authorization", "Bearer "+token)
	return ctx
}

// Session implements Shop.
func (r *remote) Session(ctx context.Context, operator string) (string, error) {
	if operator != "" {
		ctx = as(ctx, operator)
	}
	resp, err := r.sessions.StartGuestSession(ctx, &spillwayv1.StartGuestSessionRequest{})
	return resp.GetToken(), err
}

// Products implements Shop.
func (r *remote) Products(ctx context.Context, page string) (products []*spillwayv1.Product, next string, err error) {
	resp, err := r.catalog.ListProducts(ctx, &spillwayv1.ListProductsRequest{PageSize: pageSize, PageToken: page})
	return resp.GetProducts(), resp.GetNextPageToken(), err
}

// Product implements Shop.
func (r *remote) Product(ctx context.Context, sku string) (*spillwayv1.Product, error) {
	resp, err := r.catalog.GetProduct(ctx, &spillwayv1.GetProductRequest{Sku: sku})
	return resp.GetProduct(), err
}

// Create implements Shop.
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

// EmptyCart implements Shop.
func (r *remote) EmptyCart(ctx context.Context, token string) error {
	_, err := r.carts.EmptyCart(as(ctx, token), &spillwayv1.EmptyCartRequest{})
	return err
}

// SetQuantity implements Shop.
func (r *remote) SetQuantity(ctx context.Context, token, sku string, units int32) error {
	_, err := r.carts.SetQuantity(as(ctx, token), &spillwayv1.SetQuantityRequest{Sku: sku, Quantity: units})
	return err
}

// Place implements Shop.
func (r *remote) Place(ctx context.Context, token string, req *spillwayv1.PlaceOrderRequest) (*spillwayv1.Order, error) {
	resp, err := r.checkout.PlaceOrder(as(ctx, token), req)
	return resp.GetOrder(), err
}

// Orders implements Shop.
func (r *remote) Orders(ctx context.Context, token, page string) (orders []*spillwayv1.Order, next string, err error) {
	resp, err := r.orders.ListOrders(as(ctx, token), &spillwayv1.ListOrdersRequest{PageSize: pageSize, PageToken: page})
	return resp.GetOrders(), resp.GetNextPageToken(), err
}

// Order implements Shop.
func (r *remote) Order(ctx context.Context, token, id string) (*spillwayv1.Order, error) {
	resp, err := r.orders.GetOrder(as(ctx, token), &spillwayv1.GetOrderRequest{OrderId: id})
	return resp.GetOrder(), err
}

// Audit implements Shop.
func (r *remote) Audit(ctx context.Context, token string, drained bool) (*spillwayv1.RunAuditResponse, error) {
	return r.audits.RunAudit(as(ctx, token), &spillwayv1.RunAuditRequest{Drained: drained})
}
