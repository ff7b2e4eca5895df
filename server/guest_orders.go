package server

import (
	"context"
	"time"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
)

// GuestClaims keeps the owners of the orders of guests.
type GuestClaims interface {
	// Claim makes the guest's orders the customer's, once and for all. It may be repeated.
	Claim(ctx context.Context, c store.GuestClaim) error
	ClaimReader
}

// ClaimReader reads the owners of the orders of guests.
type ClaimReader interface {
	// ClaimedBy returns the customer who has claimed the guest's orders; empty if there is none.
	ClaimedBy(ctx context.Context, guest order.CustomerID) (order.CustomerID, error)
}

// GuestEnder ends the sessions of guests for the given time: they place no further orders, and the units that they ordered count towards the limits of the customer.
// It may be repeated.
type GuestEnder interface {
	ClaimGuest(ctx context.Context, guest, customer order.CustomerID, keep time.Duration) error
}

// claimKept is how long a claim is kept although the guest has no orders: until a day after the guest's token expired.
const claimKept = auth.GuestTTL + 24*time.Hour

// ClaimGuestOrders makes the orders of a guest the caller's. The claim in SQL decides. If Redis fails after it, the caller repeats the call; until then the guest
// could place further orders, which are the customer's too.
func (s Orders) ClaimGuestOrders(ctx context.Context, req *spillwayv1.ClaimGuestOrdersRequest) (*spillwayv1.ClaimGuestOrdersResponse, error) {
	if s.Claims == nil || s.Guests == nil || s.Tokens == nil {
		return nil, order.Refuse(errUnimplemented, order.ReasonProcedureNotServed, "orders of guests are not claimed here").
			With(metaProcedure, spillwayv1connect.OrderServiceClaimGuestOrdersProcedure)
	}
	if customer(ctx).Guest() {
		return nil, order.Refuse(errPermissionDenied, order.ReasonLoginRequired, "a guest's orders are claimed by a customer who has logged in, not by another guest")
	}
	guest, err := guestOf(s.Tokens, req.GetGuestToken())
	if err != nil {
		return nil, err
	}
	if err := s.Claims.Claim(ctx, store.GuestClaim{Guest: guest, Customer: customer(ctx), At: time.Now(), Stale: claimKept}); err != nil {
		return nil, err
	}
	if err := s.Guests.ClaimGuest(ctx, guest, customer(ctx), claimKept); err != nil {
		return nil, err
	}
	return &spillwayv1.ClaimGuestOrdersResponse{}, nil
}

// claimedBy returns the customer who has claimed an order that is not the caller's by what was read of it. It may have no row yet, from which the claim is read.
func (r OrderReader) claimedBy(ctx context.Context, o order.Order, caller auth.Caller) (order.CustomerID, error) {
	if r.Claims == nil || o.ClaimedBy != "" || !o.CustomerID.Guest() || caller.Customer.Guest() {
		return o.ClaimedBy, nil
	}
	return r.Claims.ClaimedBy(ctx, o.CustomerID)
}

// lostTo reports whether a customer has claimed the orders of the caller, who is a guest. While SQL is unavailable that is not known: a guest who was claimed must
// not change what is the customer's, and no order can be paid or cancelled without SQL anyway.
func (r OrderReader) lostTo(ctx context.Context, caller auth.Caller) (bool, error) {
	if r.Claims == nil || !caller.Customer.Guest() || caller.Has(auth.Operator) {
		return false, nil
	}
	by, err := r.Claims.ClaimedBy(ctx, caller.Customer)
	return by != "", err
}
