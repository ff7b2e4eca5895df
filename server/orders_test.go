package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/wire"
)

// stubHotOrders are the orders that Redis remembers.
type stubHotOrders struct {
	orders map[order.ID]order.Order
	err    error
}

func (h stubHotOrders) HotOrder(_ context.Context, id order.ID) (stock.HotOrder, error) {
	o, ok := h.orders[id]
	if h.err != nil {
		return stock.HotOrder{}, h.err
	}
	if !ok {
		return stock.HotOrder{}, order.ErrNotFound
	}
	snapshot, err := wire.MarshalSnapshot(o)
	return stock.HotOrder{State: o.State, Snapshot: snapshot, UpdatedAt: o.UpdatedAt, Reason: o.CancelReason.Encode()}, err
}

func (h stubHotOrders) States(_ context.Context, ids []order.ID) (map[order.ID]order.State, error) {
	out := map[order.ID]order.State{}
	for _, id := range ids {
		if o, ok := h.orders[id]; ok {
			out[id] = o.State
		}
	}
	return out, h.err
}

// stubRows are the orders in SQL, oldest first.
type stubRows struct {
	orders []order.Order
	err    error
}

func (r stubRows) Get(_ context.Context, id order.ID) (order.Order, error) {
	for _, o := range r.orders {
		if o.ID == id && r.err == nil {
			return o, nil
		}
	}
	if r.err != nil {
		return order.Order{}, r.err
	}
	return order.Order{}, order.ErrNotFound
}

func (r stubRows) ListByCustomer(_ context.Context, customer order.CustomerID, opt store.ListOptions) (out []order.Order, err error) {
	for i := len(r.orders) - 1; i >= 0 && len(out) < opt.Limit; i-- {
		o := r.orders[i]
		listed := (o.CustomerID == customer || opt.AllCustomers) && (opt.Before == "" || o.ID < opt.Before)
		inTime := !o.CreatedAt.Before(opt.From) && (opt.To.IsZero() || o.CreatedAt.Before(opt.To))
		found := (opt.ID == "" || o.ID == opt.ID) && (opt.Email == "" || o.Email == opt.Email)
		if listed && inTime && found && (len(opt.States) == 0 || slices.Contains(opt.States, o.State)) {
			out = append(out, o)
		}
	}
	return out, r.err
}

func orderOf(customer order.CustomerID, state order.State, age time.Duration) order.Order {
	now := time.Now().Add(-age).UTC().Truncate(time.Microsecond)
	return order.Order{ID: order.NewID(0, now), CustomerID: customer, State: state, Currency: "EUR", CreatedAt: now, UpdatedAt: now}
}

func as(ctx context.Context, customer order.CustomerID, roles ...auth.Role) context.Context {
	return auth.With(ctx, auth.Caller{Customer: customer, Roles: roles})
}

// TestOrderReader_OrdersOfOthersAreNotFound: what belongs to another looks exactly like what does not exist (I14).
func TestOrderReader_OrdersOfOthersAreNotFound(t *testing.T) {
	mine, theirs := orderOf("me", order.Paid, 0), orderOf("they", order.Paid, 0)
	hot := orderOf("they", order.Pending, 0)
	reader := OrderReader{
		Hot: stubHotOrders{orders: map[order.ID]order.Order{hot.ID: hot}}, Rows: stubRows{orders: []order.Order{mine, theirs}}, Log: slog.New(slog.DiscardHandler),
	}
	e := startServer(t, Services{Order: Orders{Reader: reader}})
	get := func(token string, id order.ID) (int, string) {
		status, _, body := e.post(t, spillwayv1connect.OrderServiceGetOrderProcedure, token, fmt.Sprintf(`{"orderId":%q}`, id))
		return status, body
	}
	me, operator := e.token(t, "me"), e.token(t, "boss", auth.Operator)
	if status, body := get(me, mine.ID); status != http.StatusOK {
		t.Errorf("my own order: %d %s", status, body)
	}
	for name, id := range map[string]order.ID{
		"another's": theirs.ID, "another's, hot": hot.ID, "nobody's": newID(), "malformed": "x", "with a quote": "'; DROP TABLE orders --",
	} {
		status, body := get(me, id)
		want := fmt.Sprintf(`{"code":"not_found","message":"there is no order %s among yours","details":[`, jsonQuoted(string(id)))
		info := `"debug":{"reason":"ORDER_NOT_FOUND",`
		if status != http.StatusNotFound || !strings.HasPrefix(body, want) || strings.Count(body, `"type"`) != 1 || !strings.Contains(body, info) {
			t.Errorf("%s order: %d %s; want %s and one detail with %s", name, status, body, want, info)
		}
	}
	for _, id := range []order.ID{mine.ID, theirs.ID, hot.ID} {
		if status, body := get(operator, id); status != http.StatusOK {
			t.Errorf("an operator reads %s: %d %s", id, status, body)
		}
	}
	if _, err := reader.Read(t.Context(), string(mine.ID)); !errors.Is(err, order.ErrNotFound) {
		t.Errorf("without a caller: %v; want ErrNotFound", err)
	}
}

// jsonQuoted is how a quoted id looks inside of a JSON string.
func jsonQuoted(id string) string { return `\"` + id + `\"` }

// TestOrderReader_LaterStateCounts: while an order is pending Redis decides, from then on SQL does (I15).
func TestOrderReader_LaterStateCounts(t *testing.T) {
	const none = order.State(-1)
	for _, c := range []struct{ hot, row, want order.State }{
		{order.Pending, none, order.Pending},
		{order.Paid, none, order.Paid},
		{none, order.Paid, order.Paid},
		{order.Paid, order.Pending, order.Paid},
		{order.Cancelled, order.Pending, order.Cancelled},
		{order.Pending, order.Paid, order.Paid},
		{order.Paid, order.Shipped, order.Shipped},
		{order.Paid, order.ShipFailed, order.ShipFailed},
		{order.Pending, order.Cancelled, order.Cancelled},
	} {
		o := orderOf("me", order.Pending, 0)
		hot, sql := stubHotOrders{orders: map[order.ID]order.Order{}}, stubRows{}
		if c.hot != none {
			o.State = c.hot
			hot.orders[o.ID] = o
		}
		if c.row != none {
			o.State = c.row
			sql.orders = append(sql.orders, o)
		}
		reader := OrderReader{Hot: hot, Rows: sql, Log: slog.New(slog.DiscardHandler)}
		got, err := reader.Read(as(t.Context(), "me"), string(o.ID))
		if err != nil || got.State != c.want {
			t.Errorf("Redis %v, SQL %v: %v, %v; want %v", c.hot, c.row, got.State, err, c.want)
		}
		if len(sql.orders) == 0 {
			continue
		}
		page := []order.Order{o}
		if reader.overlay(t.Context(), page); page[0].State != c.want {
			t.Errorf("listed, Redis %v, SQL %v: %v; want %v", c.hot, c.row, page[0].State, c.want)
		}
	}
}

func TestOrderReader_DependencyUnavailable(t *testing.T) {
	o := orderOf("me", order.Paid, 0)
	away := fmt.Errorf("no route: %w", order.ErrUnavailable)
	held := stubRows{orders: []order.Order{o}}
	hot := stubHotOrders{orders: map[order.ID]order.Order{o.ID: o}}
	for name, c := range map[string]struct {
		reader OrderReader
		want   error
	}{
		"Redis away, row there":  {OrderReader{Hot: stubHotOrders{err: away}, Rows: held}, nil},
		"Redis away, no row":     {OrderReader{Hot: stubHotOrders{err: away}, Rows: stubRows{}}, order.ErrUnavailable},
		"SQL away, record there": {OrderReader{Hot: hot, Rows: stubRows{err: away}}, nil},
		"SQL away, no record":    {OrderReader{Hot: stubHotOrders{}, Rows: stubRows{err: away}}, order.ErrUnavailable},
		"nowhere":                {OrderReader{Hot: stubHotOrders{}, Rows: stubRows{}}, order.ErrNotFound},
	} {
		c.reader.Log = slog.New(slog.DiscardHandler)
		got, err := c.reader.Read(as(t.Context(), "me"), string(o.ID))
		if !errors.Is(err, c.want) || (c.want == nil && got.ID != o.ID) {
			t.Errorf("%s: %v, %v; want %v", name, got.ID, err, c.want)
		}
	}
}

func listOrders(size int32, token string) *spillwayv1.ListOrdersRequest {
	return &spillwayv1.ListOrdersRequest{PageSize: size, PageToken: token}
}

func TestListOrders_Pages(t *testing.T) {
	var all stubRows
	for i := range 5 {
		all.orders = append(all.orders, orderOf("me", order.Paid, time.Duration(5-i)*time.Second), orderOf("they", order.Paid, 0))
	}
	e := startServer(t, Services{Order: Orders{Reader: OrderReader{Hot: stubHotOrders{}, Rows: all, Log: slog.New(slog.DiscardHandler)}}})
	client := spillwayv1connect.NewOrderServiceClient(e.client, e.url, bearer(e.token(t, "me")))
	var seen []string
	token := ""
	for range 3 {
		resp, err := client.ListOrders(t.Context(), listOrders(2, token))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range resp.GetOrders() {
			if o.GetCustomerId() != "me" || (len(seen) > 0 && o.GetId() >= seen[len(seen)-1]) {
				t.Errorf("order %s of %s after %v", o.GetId(), o.GetCustomerId(), seen)
			}
			seen = append(seen, o.GetId())
		}
		token = resp.GetNextPageToken()
	}
	if len(seen) != 5 || token != "" {
		t.Errorf("listed %d orders, and there is more: %q; want all 5", len(seen), token)
	}
	for _, bad := range []string{"x", "!!!", "MjpBQkM", pageToken("x") + "="} {
		if _, err := client.ListOrders(t.Context(), listOrders(2, bad)); err == nil {
			t.Errorf("the page token %q was taken", bad)
		}
	}
}

// TestListOrders_OtherCustomers: only operators list orders of others, and a token of one list is none of another.
func TestListOrders_OtherCustomers(t *testing.T) {
	var all stubRows
	for i := range 4 {
		o := orderOf([]order.CustomerID{"me", "they"}[i%2], order.Paid, time.Duration(4-i)*time.Second)
		o.Email = string(o.CustomerID) + "@example.com"
		all.orders = append(all.orders, o)
	}
	e := startServer(t, Services{Order: Orders{Reader: OrderReader{Hot: stubHotOrders{}, Rows: all, Log: slog.New(slog.DiscardHandler)}}})
	mine := spillwayv1connect.NewOrderServiceClient(e.client, e.url, bearer(e.token(t, "me")))
	operators := spillwayv1connect.NewOrderServiceClient(e.client, e.url, bearer(e.token(t, "op", auth.Operator)))
	for name, c := range map[string]struct {
		client spillwayv1connect.OrderServiceClient
		req    *spillwayv1.ListOrdersRequest
		want   int
		code   connect.Code
	}{
		"my own by name":           {mine, &spillwayv1.ListOrdersRequest{CustomerId: "me"}, 2, 0},
		"theirs":                   {mine, &spillwayv1.ListOrdersRequest{CustomerId: "they"}, 0, connect.CodePermissionDenied},
		"all":                      {mine, &spillwayv1.ListOrdersRequest{AllCustomers: true}, 0, connect.CodePermissionDenied},
		"an operator's own":        {operators, &spillwayv1.ListOrdersRequest{}, 0, 0},
		"a customer's":             {operators, &spillwayv1.ListOrdersRequest{CustomerId: "they"}, 2, 0},
		"all, for an operator":     {operators, &spillwayv1.ListOrdersRequest{AllCustomers: true}, 4, 0},
		"all and one, contradicts": {operators, &spillwayv1.ListOrdersRequest{AllCustomers: true, CustomerId: "me"}, 0, connect.CodeInvalidArgument},
		"all with an address":      {operators, &spillwayv1.ListOrdersRequest{AllCustomers: true, Email: " they@example.com "}, 2, 0},
		"a customer's by its id":   {operators, &spillwayv1.ListOrdersRequest{CustomerId: "they", OrderId: string(all.orders[1].ID)}, 1, 0},
		"another's by its id":      {operators, &spillwayv1.ListOrdersRequest{CustomerId: "me", OrderId: string(all.orders[1].ID)}, 0, 0},
		"all by id, as a customer": {mine, &spillwayv1.ListOrdersRequest{AllCustomers: true, OrderId: string(all.orders[1].ID)}, 0, connect.CodePermissionDenied},
		"my own by an address":     {mine, &spillwayv1.ListOrdersRequest{Email: "they@example.com"}, 0, connect.CodeInvalidArgument},
		"my own by a SKU":          {mine, &spillwayv1.ListOrdersRequest{Sku: "A"}, 0, connect.CodeInvalidArgument},
		"no SKU":                   {operators, &spillwayv1.ListOrdersRequest{AllCustomers: true, Sku: "' OR"}, 0, connect.CodeInvalidArgument},
	} {
		resp, err := c.client.ListOrders(t.Context(), c.req)
		if len(resp.GetOrders()) != c.want || (c.code == 0) != (err == nil) || (err != nil && connect.CodeOf(err) != c.code) {
			t.Errorf("%s: %d orders, %v; want %d, %v", name, len(resp.GetOrders()), err, c.want, c.code)
		}
	}
	page, err := operators.ListOrders(t.Context(), &spillwayv1.ListOrdersRequest{AllCustomers: true, PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []*spillwayv1.ListOrdersRequest{
		{CustomerId: "me"}, {AllCustomers: true, Email: "me@example.com"}, {AllCustomers: true, Sku: "A"}, {AllCustomers: true, OrderId: "x"},
	} {
		other.PageSize, other.PageToken = 1, page.GetNextPageToken()
		if _, err := operators.ListOrders(t.Context(), other); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("the token of another list in %v: %v; want invalid_argument", other, err)
		}
	}
}

// TestListOrders_Filters pages through the filtered list, and takes no token to another one.
func TestListOrders_Filters(t *testing.T) {
	var all stubRows
	for i := range 6 {
		all.orders = append(all.orders, orderOf("me", []order.State{order.Paid, order.Shipped, order.Cancelled}[i%3], time.Duration(6-i)*time.Hour))
	}
	e := startServer(t, Services{Order: Orders{Reader: OrderReader{Hot: stubHotOrders{}, Rows: all, Log: slog.New(slog.DiscardHandler)}}})
	client := spillwayv1connect.NewOrderServiceClient(e.client, e.url, bearer(e.token(t, "me")))
	from, to := timestamppb.New(all.orders[1].CreatedAt), timestamppb.New(all.orders[5].CreatedAt)
	req := func(token string) *spillwayv1.ListOrdersRequest {
		return &spillwayv1.ListOrdersRequest{
			PageSize: 1, PageToken: token, CreateTimeFrom: from, CreateTimeTo: to,
			States: []spillwayv1.OrderState{
				spillwayv1.OrderState_ORDER_STATE_SHIPPED,
				spillwayv1.OrderState_ORDER_STATE_CANCELLED,
				spillwayv1.OrderState_ORDER_STATE_SHIPPED,
			},
		}
	}
	var seen []string
	token := ""
	for range 4 {
		resp, err := client.ListOrders(t.Context(), req(token))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range resp.GetOrders() {
			seen = append(seen, o.GetId())
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
		others := req(token)
		others.States = nil
		if _, err := client.ListOrders(t.Context(), others); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("the token of another list: %v; want invalid_argument", err)
		}
	}
	if want := []string{string(all.orders[4].ID), string(all.orders[2].ID), string(all.orders[1].ID)}; !slices.Equal(seen, want) {
		t.Errorf("listed %v; want %v", seen, want)
	}
	for name, bad := range map[string]*spillwayv1.ListOrdersRequest{
		"no such state": {States: []spillwayv1.OrderState{99}}, "unspecified": {States: []spillwayv1.OrderState{0}},
		"no such time":             {CreateTimeFrom: &timestamppb.Timestamp{Seconds: 1 << 60}},
		"a token without its mark": {PageToken: pageToken(string(all.orders[0].ID))},
	} {
		if _, err := client.ListOrders(t.Context(), bad); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v; want invalid_argument", name, err)
		}
	}
}
