package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/wire"
)

// HotRecords are the orders that Redis remembers.
type HotRecords interface {
	Record(ctx context.Context, id order.ID) (stock.Record, error)
	States(ctx context.Context, ids []order.ID) (map[order.ID]order.State, error)
}

// OrderRows are the orders in SQL.
type OrderRows interface {
	Get(ctx context.Context, id order.ID) (order.Order, error)
	ListByCustomer(ctx context.Context, customer order.CustomerID, before order.ID, limit int) ([]order.Order, error)
}

// OrderReader reads orders as their customers see them: what was just placed from Redis, before its row exists (I15). While an
// order is pending Redis decides, from then on SQL does, so of two states the one that follows the other counts.
type OrderReader struct {
	Hot  HotRecords
	Rows OrderRows
	Log  *slog.Logger
}

// Read returns an order that the caller may see; every other one is order.ErrNotFound, whether it exists or not (I14).
func (r OrderReader) Read(ctx context.Context, id string) (order.Order, error) {
	notFound := fmt.Errorf("there is no order %q among yours: %w", id, order.ErrNotFound)
	parsed, err := order.ParseID(id)
	if err != nil {
		return order.Order{}, notFound
	}
	o, err := r.latest(ctx, parsed)
	if errors.Is(err, order.ErrNotFound) {
		return order.Order{}, notFound
	}
	if err != nil {
		return order.Order{}, err
	}
	if caller, ok := auth.From(ctx); !ok || (caller.Customer != o.CustomerID && !caller.Has(auth.Operator)) {
		return order.Order{}, notFound
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
		r.Log.WarnContext(ctx, "an order is read from Redis alone", "order", id, "error", err)
		return hot, nil
	case errors.Is(err, order.ErrNotFound) && !errors.Is(hotErr, order.ErrNotFound):
		return order.Order{}, hotErr // It may be hot: not found would be a guess.
	case err != nil:
		return order.Order{}, err
	case hotErr == nil && hot.State != row.State && hot.State.Follows(row.State):
		return hot, nil
	}
	return row, nil
}

func (r OrderReader) hot(ctx context.Context, id order.ID) (order.Order, error) {
	rec, err := r.Hot.Record(ctx, id)
	if err != nil {
		return order.Order{}, err
	}
	o, err := wire.UnmarshalSnapshot(rec.Snapshot)
	if err != nil {
		return order.Order{}, err
	}
	o.State, o.UpdatedAt, o.CancelReason = rec.State, rec.UpdatedAt, rec.Reason
	return o, nil
}

// Orders is the OrderService.
type Orders struct {
	spillwayv1connect.UnimplementedOrderServiceHandler

	Reader    OrderReader
	Canceller *Canceller
}

// GetOrder returns one of the caller's orders.
func (s Orders) GetOrder(ctx context.Context, req *spillwayv1.GetOrderRequest) (*spillwayv1.GetOrderResponse, error) {
	o, err := s.Reader.Read(ctx, req.GetOrderId())
	if err != nil {
		return nil, err
	}
	return &spillwayv1.GetOrderResponse{Order: wire.Order(o)}, nil
}

// ListOrders returns a page of the caller's orders, newest first.
func (s Orders) ListOrders(ctx context.Context, req *spillwayv1.ListOrdersRequest) (*spillwayv1.ListOrdersResponse, error) {
	before, err := pageAfter(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	n := pageSize(req.GetPageSize())
	found, err := s.Reader.Rows.ListByCustomer(ctx, customer(ctx), order.ID(before), n+1)
	if err != nil {
		return nil, err
	}
	page, next := cut(found, n, func(o order.Order) string { return string(o.ID) })
	s.Reader.overlay(ctx, page)
	resp := &spillwayv1.ListOrdersResponse{NextPageToken: next}
	for _, o := range page {
		resp.Orders = append(resp.Orders, wire.Order(o))
	}
	return resp, nil
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
		r.Log.WarnContext(ctx, "a list of orders is from SQL alone", "error", err)
		return
	}
	for i, o := range page {
		if hot, ok := states[o.ID]; ok && hot.Follows(o.State) {
			page[i].State = hot
		}
	}
}
