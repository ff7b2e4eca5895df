package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// Orders is the OrderService.
type Orders struct {
	Reader OrderReader
	// Changing reads the orders that are cancelled or refunded. It must not share connections with browsing, so that an order can be
	// cancelled however many customers browse.
	Changing OrderReader
	// Hub wakes watchers; without one WatchOrder is not served.
	Hub       *Hub
	Canceller *Canceller
	Refunder  *Refunder
	// Ledger reads payments and refunds; without one they are not shown. Facts reads what else SQL has about an order, for timelines.
	Ledger PaymentLedger
	Facts  OrderFacts
	// Claims keeps the owners of the orders of guests, and Guests ends the sessions of claimed guests. Without one of them, or without Tokens, orders of guests are
	// not claimed.
	Claims GuestClaims
	Guests GuestEnder
	Tokens *auth.Tokens
}

// GetOrder returns one of the caller's orders.
func (s Orders) GetOrder(ctx context.Context, req *spillwayv1.GetOrderRequest) (*spillwayv1.GetOrderResponse, error) {
	o, err := s.Reader.Read(ctx, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	paid := s.paymentOf(ctx, o)
	return &spillwayv1.GetOrderResponse{
		Order:      wire.Order(o),
		Payment:    paid.message(ctx, o.CustomerID),
		Refunds:    paid.refundMessages(ctx),
		WaitingFor: paid.waitingFor(o),
	}, nil
}

// ListOrders returns a page of the caller's orders, newest first, or for an operator of those of another customer or of all. Filters look at
// SQL: Redis has no index by customer.
func (s Orders) ListOrders(ctx context.Context, req *spillwayv1.ListOrdersRequest) (*spillwayv1.ListOrdersResponse, error) {
	opt, err := listOptions(req)
	if err != nil {
		return nil, err
	}
	of, err := listedCustomer(ctx, req)
	if err != nil {
		return nil, err
	}
	opt.Unclaimed = of == customer(ctx) && of.Guest()
	filter := orderFilter(opt, of)
	before, err := pageAfter(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	if before != "" {
		id, ok := strings.CutPrefix(before, filter)
		if !ok {
			return nil, errOtherFilters()
		}
		opt.Before = order.ID(id)
	}
	n := pageSize(req.GetPageSize())
	opt.Limit = n + 1
	found, err := s.Reader.Rows.ListByCustomer(ctx, of, opt)
	if err != nil {
		return nil, err
	}
	page, next := paginate(found, n, func(o order.Order) string { return filter + string(o.ID) })
	s.Reader.overlay(ctx, page)
	resp := &spillwayv1.ListOrdersResponse{NextPageToken: next}
	for _, o := range page {
		resp.Orders = append(resp.Orders, wire.Order(o))
	}
	return resp, nil
}

// listedCustomer returns the customer of the orders that are listed, after a check that the caller may list them.
func listedCustomer(ctx context.Context, req *spillwayv1.ListOrdersRequest) (order.CustomerID, error) {
	own, wanted := customer(ctx), order.CustomerID(req.GetCustomerId())
	switch {
	case req.GetAllCustomers() && wanted != "":
		return "", fmt.Errorf("allCustomers goes with an empty customerId: %w", order.ErrInvalid)
	case !req.GetAllCustomers() && (wanted == "" || wanted == own):
		return own, notSearched(req)
	}
	if caller, ok := auth.From(ctx); !ok || !caller.ReadsAll() {
		return "", connect.NewError(connect.CodePermissionDenied, errors.New("the orders of other customers need the role "+string(auth.Operator)))
	}
	return wanted, nil
}

// notSearched refuses the filters by which operators search in a list of the caller's own orders.
func notSearched(req *spillwayv1.ListOrdersRequest) error {
	if req.GetOrderId() == "" && req.GetEmail() == "" && req.GetSku() == "" {
		return nil
	}
	return fmt.Errorf("orderId, email and sku go with allCustomers, or the customerId of another customer: %w", order.ErrInvalid)
}

// listOptions are the filters of the request.
func listOptions(req *spillwayv1.ListOrdersRequest) (opt store.ListOptions, err error) {
	opt = store.ListOptions{
		AllCustomers: req.GetAllCustomers(), ID: order.ID(req.GetOrderId()), Email: strings.TrimSpace(req.GetEmail()), SKU: order.SKU(req.GetSku()),
	}
	for _, wanted := range req.GetStates() {
		state, err := wire.FromState(wanted)
		if err != nil {
			return opt, inField("states", err)
		}
		opt.States = append(opt.States, state)
	}
	slices.Sort(opt.States)
	opt.States = slices.Compact(opt.States)
	if opt.From, err = bound("createTimeFrom", req.GetCreateTimeFrom()); err != nil {
		return opt, err
	}
	opt.To, err = bound("createTimeTo", req.GetCreateTimeTo())
	return opt, err
}

// bound reads a bound of time; none is zero.
func bound(name string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, invalidField(name, "%s", err)
	}
	switch at := t.AsTime(); {
	case at.Before(earliest):
		return earliest, nil
	case at.After(latest):
		return latest, nil
	default:
		return at, nil
	}
}

// Between these is every order; beyond them are times that not every database takes.
var (
	earliest = time.Unix(0, 0).UTC()
	latest   = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
)

// orderFilter stands for the filters in a page token.
func orderFilter(opt store.ListOptions, customer order.CustomerID) string {
	return filterHash("%t %q %d %s %s %q %q %q", opt.AllCustomers, customer, opt.States,
		opt.From.Format(time.RFC3339Nano), opt.To.Format(time.RFC3339Nano), opt.ID, opt.Email, opt.SKU)
}
