package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// OrderCache are the orders that Redis remembers.
type OrderCache interface {
	HotOrder(ctx context.Context, id order.ID) (stock.HotOrder, error)
	States(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error)
}

// OrderRows are the orders in SQL.
type OrderRows interface {
	Get(ctx context.Context, id order.ID) (order.Order, error)
	ListByCustomer(ctx context.Context, customer order.CustomerID, opt store.ListOptions) ([]order.Order, error)
}

// OrderReader reads orders as their customers see them: what was just placed from Redis, before its row exists (I15). While an
// order is pending Redis decides, from then on SQL does, so of two states the one that follows the other counts.
type OrderReader struct {
	Hot  OrderCache
	Rows OrderRows
	// Claims are read for orders of guests that have no row yet; nil are none.
	Claims ClaimReader
	Log    *slog.Logger
}

// orderNotFound is the error of an order that does not exist, or is another customer's.
func orderNotFound(id string) error {
	return order.Refuse(order.ErrNotFound, order.ReasonOrderNotFound, "there is no order %q among yours", id).With(metaOrderID, id)
}

// Read returns an order that the caller may see; every other one is order.ErrNotFound, whether it exists or not (I14). An order that a customer has claimed is the
// customer's; its guest may see it until it has a row.
func (r OrderReader) Read(ctx context.Context, id string) (order.Order, error) {
	parsed, err := order.ParseID(id)
	if err != nil {
		return order.Order{}, orderNotFound(id)
	}
	o, err := r.latest(ctx, parsed)
	if errors.Is(err, order.ErrNotFound) {
		return order.Order{}, orderNotFound(id)
	}
	if err != nil {
		return order.Order{}, err
	}
	caller, ok := auth.From(ctx)
	switch {
	case !ok:
		return order.Order{}, orderNotFound(id)
	case caller.Customer == o.Owner(), caller.ReadsAll():
		return o, nil
	}
	if o.ClaimedBy, err = r.claimedBy(ctx, o, caller); err != nil {
		return order.Order{}, err
	}
	if caller.Customer != o.Owner() {
		return order.Order{}, orderNotFound(id)
	}
	return o, nil
}

// ReadToChange is Read for a call that changes the order: an order of another customer is for operators, not for those who only read, and one that a customer has
// claimed not for its guest, row or not.
func (r OrderReader) ReadToChange(ctx context.Context, id string) (order.Order, error) {
	o, err := r.Read(ctx, id)
	if err != nil {
		return order.Order{}, err
	}
	caller, _ := auth.From(ctx)
	if caller.ReadsAll() && caller.Customer != o.Owner() { // Read did not need the claim.
		if o.ClaimedBy, err = r.claimedBy(ctx, o, caller); err != nil && !caller.Has(auth.Operator) {
			return order.Order{}, err
		}
	}
	switch lost, err := r.lostTo(ctx, caller); {
	case caller.Has(auth.Operator):
		return o, nil
	case caller.Customer != o.Owner():
		return order.Order{}, roleRequired(auth.Operator)
	case err != nil:
		return order.Order{}, err
	case lost:
		return order.Order{}, orderNotFound(id)
	}
	return o, nil
}

func (r OrderReader) latest(ctx context.Context, id order.ID) (order.Order, error) {
	hot, hotErr := r.hot(ctx, id)
	row, err := r.Rows.Get(ctx, id)
	switch {
	case hotErr == nil && errors.Is(err, order.ErrNotFound):
		return hot, nil
	case err != nil && hotErr == nil:
		r.Log.WarnContext(ctx, "failed to read an order from sql, using redis", "order", id, "error", err)
		return hot, nil
	case errors.Is(err, order.ErrNotFound) && !errors.Is(hotErr, order.ErrNotFound):
		return order.Order{}, hotErr // It may be hot: not found would be a guess.
	case err != nil:
		return order.Order{}, err
	case hotErr == nil && hot.State != row.State && hot.State.Follows(row.State):
		hot.ClaimedBy = row.ClaimedBy
		return hot, nil
	}
	return row, nil
}

func (r OrderReader) hot(ctx context.Context, id order.ID) (order.Order, error) {
	rec, err := r.Hot.HotOrder(ctx, id)
	if err != nil {
		return order.Order{}, err
	}
	o, err := wire.UnmarshalSnapshot(rec.Snapshot)
	if err != nil {
		return order.Order{}, err
	}
	o.State, o.UpdatedAt, o.CancelReason = rec.State, rec.UpdatedAt, order.ParseCancelReason(rec.Reason)
	return o, nil
}

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

// overlay takes the states of hot orders from Redis, where that is further than SQL.
func (r OrderReader) overlay(ctx context.Context, page []order.Order) {
	if len(page) == 0 {
		return
	}
	ids := make([]order.ID, len(page))
	for i, o := range page {
		ids[i] = o.ID
	}
	states, err := r.Hot.States(ctx, ids)
	if err != nil {
		r.Log.WarnContext(ctx, "failed to read hot states for a list of orders, using sql", "error", err)
		return
	}
	for i, o := range page {
		if hot, ok := states[o.ID]; ok && hot.Follows(o.State) {
			page[i].State = hot
		}
	}
}
