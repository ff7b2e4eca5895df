package onlineboutique

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"golang.org/x/sync/singleflight"
	"google.golang.org/protobuf/proto"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/cart"
	"github.com/spillway/spillway/gen/hipstershop"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/server"
)

const (
	// placeTimeout bounds one order: the 15 s in which Spillway finishes what it has reserved, and what comes before.
	placeTimeout = 20 * time.Second
	// keyPrefix begins the idempotency keys.
	keyPrefix = "boutique-"
)

// checkout is the CheckoutService.
type checkout struct {
	Shop
	// flights joins the concurrent calls with one request.
	flights *singleflight.Group
}

// PlaceOrder orders the cart of the user. The generation of the cart is the idempotency key: docs/design/online-boutique.md.
func (c *checkout) PlaceOrder(ctx context.Context, req *hipstershop.PlaceOrderRequest) (*hipstershop.PlaceOrderResponse, error) {
	customer, err := customerOf(req.GetUserId())
	if err != nil {
		return nil, err
	}
	place, err := placeRequest(req)
	if err != nil {
		return nil, err
	}
	if err := server.CheckRequest(place); err != nil {
		return nil, err
	}
	attempt, err := c.Carts.BeginOrder(ctx, customer)
	if err != nil {
		return nil, err
	}
	place.IdempotencyKey = keyPrefix + attempt.Generation
	leads := false
	// The calls of one request share its outcome: each of its own would count against the charges that a customer may have under way.
	placed, err, _ := c.flights.Do(string(customer)+" "+requestSum(place), func() (any, error) {
		leads = true
		// The others need the outcome although the first caller left.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), placeTimeout)
		defer cancel()
		return c.place(ctx, customer, attempt, place)
	})
	if !leads { // Of these calls, the first one alone decides about the cart.
		c.end(context.WithoutCancel(ctx), customer, attempt, cart.Released, "")
	}
	if err != nil {
		return nil, err
	}
	return &hipstershop.PlaceOrderResponse{
		Order: orderResult(placed.(*spillwayv1.Order), req.GetAddress()), //nolint:forcetypeassert,errcheck // place returned it.
	}, nil
}

// placeRequest returns the order of the cart, without a key.
func placeRequest(req *hipstershop.PlaceOrderRequest) (*spillwayv1.PlaceOrderRequest, error) {
	address, err := addressOf(req.GetAddress(), req.GetEmail())
	if err != nil {
		return nil, err
	}
	currency := req.GetUserCurrency()
	if currency == "" {
		currency = dollars
	}
	return &spillwayv1.PlaceOrderRequest{
		CurrencyCode: currency, Email: req.GetEmail(), ShippingAddress: address, Card: cardOf(req.GetCreditCard()),
	}, nil
}

// requestSum identifies the request in this process, while it is under way. It includes the card, and is kept nowhere else.
func requestSum(req *spillwayv1.PlaceOrderRequest) string {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil { // Its strings are valid: its rules were checked.
		return req.GetIdempotencyKey()
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// place places the order and ends the attempt.
func (c *checkout) place(ctx context.Context, customer order.CustomerID, a cart.Attempt, req *spillwayv1.PlaceOrderRequest) (*spillwayv1.Order, error) {
	resp, err := c.Checkout.PlaceOrder(auth.With(ctx, auth.Caller{Customer: customer}), req)
	outcome, err := c.judge(ctx, customer, resp.GetOrder(), err)
	if outcome != "" {
		c.end(ctx, customer, a, outcome, resp.GetOrder().GetId())
	}
	return resp.GetOrder(), err
}

// end ends an attempt. One that cannot be ended ends by itself.
func (c *checkout) end(ctx context.Context, customer order.CustomerID, a cart.Attempt, outcome cart.Outcome, orderID string) {
	if err := c.Carts.EndOrder(ctx, customer, a, outcome); err != nil {
		c.Log.WarnContext(ctx, "online boutique: failed to end the order of a cart", "order_id", orderID, "error", err)
	}
}

// orderResult is the order as the front end shows it.
func orderResult(o *spillwayv1.Order, to *hipstershop.Address) *hipstershop.OrderResult {
	out := &hipstershop.OrderResult{
		OrderId: o.GetId(), ShippingTrackingId: o.GetTrackingId(), ShippingCost: moneyMessage(o.GetShippingTotal()), ShippingAddress: to,
	}
	for _, l := range o.GetLines() {
		out.Items = append(out.Items, &hipstershop.OrderItem{
			Item: &hipstershop.CartItem{ProductId: l.GetSku(), Quantity: l.GetQuantity()}, Cost: moneyMessage(l.GetUnitPrice()),
		})
	}
	return out
}
