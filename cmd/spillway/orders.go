package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// ordersCmd is for operators.
type ordersCmd struct {
	List   ordersListCmd   `cmd:"" help:"List orders of all customers, newest first."`
	Show   ordersShowCmd   `cmd:"" help:"Show an order."`
	Cancel ordersCancelCmd `cmd:"" help:"Cancel an order that is not shipped: what was paid is refunded, and the stock goes back. Cancelling twice changes nothing."`
	Refund ordersRefundCmd `cmd:"" help:"Refund a part of a paid order, or all that is left of a SHIPPED one."`
}

// ordersClient is what all of them need.
type ordersClient struct {
	Client clientFlags `embed:"" group:"Shop"`
	outputFlags
}

func (c ordersClient) open() (spillwayv1connect.OrderServiceClient, error) {
	h, url, err := c.Client.client()
	if err != nil {
		return nil, err
	}
	return spillwayv1connect.NewOrderServiceClient(h, url), nil
}

func (c ordersClient) print(out io.Writer, o *spillwayv1.Order) error {
	if c.json() {
		return printMessage(out, o)
	}
	return orderPage(out, o)
}

type ordersListCmd struct {
	ordersClient

	Customer string    `placeholder:"ID" help:"Only orders of this customer."`
	State    []string  `enum:"pending,paid,cancelled,shipped,ship_failed" placeholder:"STATE" help:"Only orders in this state, as SQL has them: ${enum}; may be repeated."`
	From     time.Time `placeholder:"TIME" help:"Only orders placed at this time or later, such as 2026-01-31T08:00:00Z."`
	To       time.Time `placeholder:"TIME" help:"Only orders placed before this time."`
	Limit    int       `default:"50" help:"How many at most."`
}

// Help is the end of the command's --help.
func (*ordersListCmd) Help() string {
	return `Examples:

    spillway orders list
    spillway orders list --state ship_failed --state paid --limit 200
    spillway orders list --customer ada --from 2026-01-31T08:00:00Z --output json`
}

// stateFlags are the states that --state selects.
var stateFlags = map[string]spillwayv1.OrderState{
	"pending": spillwayv1.OrderState_ORDER_STATE_PENDING, "paid": spillwayv1.OrderState_ORDER_STATE_PAID,
	"cancelled": spillwayv1.OrderState_ORDER_STATE_CANCELLED, "shipped": spillwayv1.OrderState_ORDER_STATE_SHIPPED,
	"ship_failed": spillwayv1.OrderState_ORDER_STATE_SHIP_FAILED,
}

// maxOrderPage is the largest page that the API returns.
const maxOrderPage = 100

func (c *ordersListCmd) request() *spillwayv1.ListOrdersRequest {
	req := &spillwayv1.ListOrdersRequest{CustomerId: c.Customer, AllCustomers: c.Customer == ""}
	states := map[spillwayv1.OrderState]bool{}
	for _, name := range c.State {
		states[stateFlags[name]] = true
	}
	req.States = slices.Sorted(maps.Keys(states))
	if !c.From.IsZero() {
		req.CreateTimeFrom = timestamppb.New(c.From)
	}
	if !c.To.IsZero() {
		req.CreateTimeTo = timestamppb.New(c.To)
	}
	return req
}

// Run lists orders.
func (c *ordersListCmd) Run(ctx context.Context, env environment) error {
	if c.Limit < 1 {
		return usageErrorf("--limit %d: must be at least 1", c.Limit)
	}
	client, err := c.open()
	if err != nil {
		return err
	}
	var orders []*spillwayv1.Order
	req := c.request()
	for {
		req.PageSize = int32(min(c.Limit-len(orders), maxOrderPage)) //nolint:gosec // At most maxOrderPage.
		resp, err := client.ListOrders(ctx, req)
		if err != nil {
			return c.Client.explain(err)
		}
		orders = append(orders, resp.GetOrders()...)
		req.PageToken = resp.GetNextPageToken()
		if req.GetPageToken() == "" || len(orders) >= c.Limit {
			break
		}
	}
	if c.json() {
		return printMessage(env.out, &spillwayv1.ListOrdersResponse{Orders: orders, NextPageToken: req.GetPageToken()})
	}
	return orderTable(env.out, orders, req.GetPageToken() != "")
}

type ordersShowCmd struct {
	ordersClient

	ID string `arg:"" help:"The order's id."`
}

// Help is the end of the command's --help.
func (*ordersShowCmd) Help() string {
	return `Examples:

    spillway orders show 01JH3Z0V8XQ2M4N6P8R0T2W4Y6
    spillway orders show 01JH3Z0V8XQ2M4N6P8R0T2W4Y6 --output json`
}

// Run shows one order.
func (c *ordersShowCmd) Run(ctx context.Context, env environment) error {
	client, err := c.open()
	if err != nil {
		return err
	}
	resp, err := client.GetOrder(ctx, &spillwayv1.GetOrderRequest{OrderId: c.ID})
	if err != nil {
		return c.Client.explain(err)
	}
	return c.print(env.out, resp.GetOrder())
}

type ordersCancelCmd struct {
	ordersClient

	ID     string `arg:"" help:"The order's id."`
	Reason string `help:"Why; kept with the order."`
}

// Help is the end of the command's --help.
func (*ordersCancelCmd) Help() string {
	return `Examples:

    spillway orders cancel 01JH3Z0V8XQ2M4N6P8R0T2W4Y6 --reason 'out of glue'`
}

// Run cancels one order.
func (c *ordersCancelCmd) Run(ctx context.Context, env environment) error {
	client, err := c.open()
	if err != nil {
		return err
	}
	resp, err := client.CancelOrder(ctx, &spillwayv1.CancelOrderRequest{OrderId: c.ID, Reason: c.Reason})
	if err != nil {
		return c.Client.explain(err)
	}
	return c.print(env.out, resp.GetOrder())
}

type ordersRefundCmd struct {
	ordersClient

	ID     string `arg:"" help:"The order's id."`
	Amount string `placeholder:"DECIMAL" help:"How much, in the order's currency, such as 12.50; without it, all that is left."`
	Reason string `required:"" help:"Why; kept with the refund."`
	Key    string `name:"idempotency-key" help:"The same for a refund that is sent again, and fresh for each other one. Without it, one is made; an error names it."`
}

// Help is the end of the command's --help.
func (*ordersRefundCmd) Help() string {
	return `The payment provider gives the money back soon after. Examples:

    spillway orders refund 01JH3Z0V8XQ2M4N6P8R0T2W4Y6 --amount 12.50 --reason 'scratched'
    spillway orders refund 01JH3Z0V8XQ2M4N6P8R0T2W4Y6 --reason 'returned' --output json`
}

// Run refunds one order.
func (c *ordersRefundCmd) Run(ctx context.Context, env environment) error {
	req := &spillwayv1.RefundOrderRequest{OrderId: c.ID, Reason: c.Reason, IdempotencyKey: c.Key}
	if req.GetIdempotencyKey() == "" {
		req.IdempotencyKey = "cli-" + rand.Text()
	}
	var err error
	if c.Amount != "" {
		if req.Amount, err = parseAmount(c.Amount); err != nil {
			return usageErrorf("--amount %q: %w", c.Amount, err)
		}
	}
	client, err := c.open()
	if err != nil {
		return err
	}
	if req.GetAmount() != nil {
		order, err := client.GetOrder(ctx, &spillwayv1.GetOrderRequest{OrderId: c.ID})
		if err != nil {
			return c.Client.explain(err)
		}
		req.Amount.CurrencyCode = order.GetOrder().GetTotal().GetCurrencyCode()
	}
	resp, err := client.RefundOrder(ctx, req)
	if err != nil {
		return fmt.Errorf("%w (to send this refund again, add --idempotency-key %s)", c.Client.explain(err), req.GetIdempotencyKey())
	}
	if c.json() {
		return printMessage(env.out, resp)
	}
	return refundPage(env.out, resp)
}
