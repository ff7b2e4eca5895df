package onlineboutique

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/cart"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// metaOrderID is the key of an order's id in the metadata of errors.
const metaOrderID = "orderId"

// judge returns how the order of the cart ended, empty while that is not known, and the error for the caller.
func (c *checkout) judge(
	ctx context.Context, customer order.CustomerID, o *spillwayv1.Order, err error,
) (cart.Outcome, error) {
	if err == nil {
		return judgeOrder(o)
	}
	var sold *order.SoldOutError
	var refused *order.DeclinedError
	var other *order.RefusalError
	switch {
	case errors.As(err, &sold):
		return cart.Released, c.soldOut(ctx, sold)
	case errors.As(err, &refused):
		return cart.Refused, declined(refused.Code)
	case errors.As(err, &other) && other.Reason == order.ReasonOrderCancelled:
		return cart.Refused, err
	case errors.Is(err, order.ErrKeyReused):
		return c.orderedOtherwise(ctx, customer, err)
	case errors.Is(err, order.ErrUnavailable), errors.Is(err, order.ErrUnknownOutcome):
		return "", err // The order may exist.
	case errors.Is(err, order.ErrOverloaded), errors.Is(err, order.ErrInvalid), errors.Is(err, order.ErrNotFound), errors.Is(err, order.ErrFailedPrecondition):
		return cart.Released, err
	}
	return "", err
}

// confirmDelay is when to try again while the payment of an order is not confirmed: the provider responds within 3 s, or is asked later.
const confirmDelay = 3 * time.Second

// judgeOrder judges an order that Spillway returned. The interface has no orders that are not paid yet.
func judgeOrder(o *spillwayv1.Order) (cart.Outcome, error) {
	switch o.GetState() {
	case spillwayv1.OrderState_ORDER_STATE_PAID, spillwayv1.OrderState_ORDER_STATE_SHIPPED, spillwayv1.OrderState_ORDER_STATE_SHIP_FAILED:
		return cart.Accepted, nil
	case spillwayv1.OrderState_ORDER_STATE_CANCELLED:
		return cart.Refused, order.Refuse(order.ErrFailedPrecondition, order.ReasonOrderCancelled,
			"order %s of this cart was cancelled: place the order again", o.GetId()).With(metaOrderID, o.GetId())
	default:
		return "", &order.RetryError{After: confirmDelay, Err: order.Refuse(order.ErrUnavailable, order.ReasonUnavailable,
			"the payment of order %s is not confirmed yet: place the order again in a moment, it is not charged twice", o.GetId()).With(metaOrderID, o.GetId())}
	}
}

// orderedOtherwise judges an order with another address, currency or mail address than the one that was placed for the same cart, which reused names.
func (c *checkout) orderedOtherwise(ctx context.Context, customer order.CustomerID, reused error) (cart.Outcome, error) {
	var refused *order.RefusalError
	if !errors.As(reused, &refused) || refused.Metadata[metaOrderID] == "" {
		return "", c.beingPlaced()
	}
	id := refused.Metadata[metaOrderID]
	resp, err := c.Order.GetOrder(auth.With(ctx, auth.Caller{Customer: customer}), &spillwayv1.GetOrderRequest{OrderId: id})
	if errors.Is(err, order.ErrNotFound) {
		return "", c.beingPlaced()
	}
	if err != nil {
		return "", err
	}
	outcome, err := judgeOrder(resp.GetOrder())
	if outcome == cart.Accepted {
		err = order.Refuse(order.ErrFailedPrecondition, order.ReasonIdempotencyKeyReused,
			"this cart was ordered before, as order %s with another address, currency or mail address", id).With(metaOrderID, id)
	}
	return outcome, err
}

// beingPlaced is the refusal of an order while another one of the cart is being placed.
func (*checkout) beingPlaced() error {
	return &order.RetryError{After: confirmDelay, Err: order.Refuse(order.ErrUnavailable, order.ReasonUnavailable,
		"an order of this cart with another address, currency or mail address is still being placed: try again in a moment")}
}

// soldOut is the refusal of an order of products that are sold out, as a sentence with their names.
func (c *checkout) soldOut(ctx context.Context, sold *order.SoldOutError) error {
	skus := make([]string, len(sold.Shortages))
	for i, s := range sold.Shortages {
		skus[i] = string(s.SKU)
	}
	names := make(map[string]string, len(skus))
	resp, err := call(ctx, c.Catalog.GetProducts, &spillwayv1.GetProductsRequest{Skus: skus})
	if err == nil {
		for _, p := range resp.GetProducts() {
			names[p.GetSku()] = p.GetName()
		}
	}
	parts := make([]string, len(skus))
	for i, s := range sold.Shortages {
		name := names[skus[i]]
		if name == "" {
			name = skus[i]
		}
		parts[i] = fmt.Sprintf("%s (%d in the cart, %d left)", name, s.Requested, s.Available)
	}
	return order.Refuse(order.ErrFailedPrecondition, order.ReasonSoldOut, "sold out: %s", strings.Join(parts, ", ")).With("skus", strings.Join(skus, ","))
}
