package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// fakeShop keeps its orders in memory and ships them immediately.
type fakeShop struct {
	// before is called first in each Place; its error is returned.
	before func(ctx context.Context, token string, n int) error
	// change may corrupt an order that is read after the load; nil deletes it.
	change func(o *spillwayv1.Order) *spillwayv1.Order
	audits func(n int) (*spillwayv1.RunAuditResponse, error)

	mu       sync.Mutex
	stock    int64
	sessions int
	places   int
	audited  int
	keys     []string
	byKey    map[string]*spillwayv1.Order
	byOwner  map[string][]*spillwayv1.Order
}

func newFakeShop(stock int64) *fakeShop {
	return &fakeShop{
		stock: stock, byKey: make(map[string]*spillwayv1.Order), byOwner: make(map[string][]*spillwayv1.Order),
		audits: func(int) (*spillwayv1.RunAuditResponse, error) { return &spillwayv1.RunAuditResponse{Ok: true}, nil },
	}
}

func (f *fakeShop) Session(context.Context, string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sessions++
	return fmt.Sprintf("guest-%d", f.sessions), nil
}

func (f *fakeShop) Products(context.Context, string) (products []*spillwayv1.Product, next string, err error) {
	return []*spillwayv1.Product{{Sku: "A"}, {Sku: "B"}}, "", nil
}

func (f *fakeShop) Product(_ context.Context, sku string) (*spillwayv1.Product, error) {
	return &spillwayv1.Product{Sku: sku}, nil
}

func (f *fakeShop) Create(_ context.Context, _, _ string, units int64) error {
	f.stock = units
	return nil
}

func (f *fakeShop) EmptyCart(context.Context, string) error                  { return nil }
func (f *fakeShop) SetQuantity(context.Context, string, string, int32) error { return nil }

func (f *fakeShop) Place(ctx context.Context, token string, req *spillwayv1.PlaceOrderRequest) (*spillwayv1.Order, error) {
	f.mu.Lock()
	f.places++
	n := f.places
	f.keys = append(f.keys, req.GetIdempotencyKey())
	f.mu.Unlock()
	if f.before != nil {
		if err := f.before(ctx, token, n); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if o, ok := f.byKey[req.GetIdempotencyKey()]; ok {
		return o, nil
	}
	if f.stock == 0 {
		return nil, wire(connect.CodeFailedPrecondition, &spillwayv1.SoldOut{})
	}
	f.stock--
	return f.sell(token, req.GetIdempotencyKey()), nil
}

// sell makes an order; f.mu is held.
func (f *fakeShop) sell(token, key string) *spillwayv1.Order {
	o := &spillwayv1.Order{
		Id: fmt.Sprintf("%026d", len(f.byKey)), State: spillwayv1.OrderState_ORDER_STATE_PAID, CreateTime: timestamppb.Now(),
		Lines: []*spillwayv1.OrderLine{{Quantity: 1}},
	}
	f.byKey[key] = o
	f.byOwner[token] = append(f.byOwner[token], o)
	return o
}

func (f *fakeShop) Orders(_ context.Context, token, _ string) (orders []*spillwayv1.Order, next string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range f.byOwner[token] {
		shipped := proto.CloneOf(o)
		shipped.State = spillwayv1.OrderState_ORDER_STATE_SHIPPED
		shipped.UpdateTime = timestamppb.New(o.GetCreateTime().AsTime().Add(30 * time.Millisecond))
		if f.change != nil {
			shipped = f.change(shipped)
		}
		if shipped != nil {
			orders = append(orders, shipped)
		}
	}
	return orders, "", nil
}

func (f *fakeShop) Order(context.Context, string, string) (*spillwayv1.Order, error) {
	return nil, connect.NewError(connect.CodeNotFound, errors.New("it is hot nowhere"))
}

func (f *fakeShop) Audit(context.Context, string, bool) (*spillwayv1.RunAuditResponse, error) {
	f.audited++
	return f.audits(f.audited)
}

// wire returns an error as a client receives it.
func wire(code connect.Code, details ...proto.Message) error {
	ce := connect.NewWireError(code, errors.New(code.String()))
	for _, m := range details {
		d, err := connect.NewErrorDetail(m)
		if err != nil {
			panic(err)
		}
		ce.AddDetail(d)
	}
	return ce
}

// overloaded returns the error of a shop that sheds the call, with a retry hint of d.
func overloaded(d time.Duration) error {
	return wire(connect.CodeResourceExhausted, &errdetails.RetryInfo{RetryDelay: durationpb.New(d)})
}

// someConfig is 100 arrivals per second for 3 s, of 5 buyers.
func someConfig() Config {
	return Config{
		URL: "http://127.0.0.1:1", Rate: 100, Duration: 3 * time.Second, Arrivals: Constant, Scenario: FlashSale, SKU: "HOT", Buyers: 5,
		MaxInFlight: 10_000, Card: "4242424242424242", SettleWait: 10 * time.Second, Seed: 7,
	}
}

func mustRun(t *testing.T, cfg Config, shop Shop) *Result {
	t.Helper()
	res, err := Run(t.Context(), cfg, shop, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (r *Result) count(o Outcome) int64 { return r.Outcomes[o.String()].Count }
