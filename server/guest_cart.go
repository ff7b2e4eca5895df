package server

import (
	"context"
	"errors"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/cart"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// GuestCarts moves the carts of guests into those of customers.
type GuestCarts interface {
	// Merge returns the customer's cart and what did not fit, which stays in the guest's. It may be repeated.
	Merge(ctx context.Context, guest, customer order.CustomerID) (cart.Cart, []order.Demand, error)
}

// MergeGuestCart moves a guest's cart into the caller's.
func (c Cart) MergeGuestCart(ctx context.Context, req *spillwayv1.MergeGuestCartRequest) (*spillwayv1.MergeGuestCartResponse, error) {
	if c.Guests == nil || c.Tokens == nil {
		return nil, order.Refuse(errUnimplemented, order.ReasonProcedureNotServed, "carts of guests are not merged here").
			With(metaProcedure, spillwayv1connect.CartServiceMergeGuestCartProcedure)
	}
	if customer(ctx).Guest() {
		return nil, order.Refuse(errPermissionDenied, order.ReasonLoginRequired, "a guest's cart is moved to a customer who has logged in, not to another guest")
	}
	guest, err := guestOf(c.Tokens, req.GetGuestToken())
	if err != nil {
		return nil, err
	}
	merged, left, err := c.Guests.Merge(ctx, guest, customer(ctx))
	if err != nil {
		return nil, err
	}
	return &spillwayv1.MergeGuestCartResponse{Cart: c.changed(ctx, merged, req.GetCurrencyCode()), LeftOut: wire.Demand(left)}, nil
}

// guestOf returns the guest that a token in a request names. It must be one of this shop's guests, without roles: whoever holds the token of another customer must
// not be able to take what is theirs.
func guestOf(tokens *auth.Tokens, token string) (order.CustomerID, error) {
	caller, err := tokens.Verify(token)
	if errors.Is(err, order.ErrUnavailable) {
		return "", err
	}
	if err != nil || !caller.Customer.Guest() || len(caller.Roles) > 0 {
		return "", order.Refuse(order.ErrInvalid, order.ReasonGuestTokenInvalid, "guestToken is no valid token of a guest: StartGuestSession returns those")
	}
	return caller.Customer, nil
}
