package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/shipping"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/wire"
)

// PriceSource knows what products are called and cost.
type PriceSource interface {
	// Prices answers for all of the SKUs, or order.ErrNotFound naming one that does not exist.
	Prices(ctx context.Context, skus []order.SKU) (map[order.SKU]ProductPrice, error)
}

// ProductPrice is a product's name and price, in the catalogue's currency.
type ProductPrice struct {
	Name  string
	Price order.Money
	// Archived products are not sold any more.
	Archived bool
	// MaxPerCustomer is how many units one customer may order within a day; 0 is no limit.
	MaxPerCustomer int
}

// CartContents reads and empties carts.
type CartContents interface {
	Contents(ctx context.Context, customer order.CustomerID) ([]order.Demand, error)
	// EmptyIf empties the cart if it still holds just these items.
	EmptyIf(ctx context.Context, customer order.CustomerID, items []order.Demand) error
}

// Quoter prices parcels.
type Quoter interface {
	Quote(ctx context.Context, to order.Address, demand []order.Demand, currency order.Currency) (order.Money, error)
}

// PaymentClient charges cards, once per order.
type PaymentClient interface {
	// Charge answers whether the money was taken. order.ErrUnknownOutcome means that nobody knows yet; order.ErrFailedPrecondition
	// that the order must not be charged any more.
	Charge(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (order.Charge, error)
	// ChargeAgain is Charge, except that an order whose card was declined is charged with this one.
	ChargeAgain(ctx context.Context, id order.ID, amount order.Money, card payment.Card) (order.Charge, error)
	Refund(ctx context.Context, id order.ID, reason string) error
}

// Reserver is the authority on stock.
type Reserver interface {
	Reserve(ctx context.Context, r stock.Request) (stock.Reservation, error)
	Settle(ctx context.Context, id order.ID, chargeID, trace string) (journal.Offset, error)
	Release(ctx context.Context, id order.ID, reason, trace string) (journal.Offset, error)
	// MarkUnpaid counts an order whose payment is not known as unpaid.
	MarkUnpaid(ctx context.Context, id order.ID) error
	HotOrder(ctx context.Context, id order.ID) (stock.HotOrder, error)
	Replay(ctx context.Context, customer order.CustomerID, key string, fingerprint []byte) (order.ID, error)
	// IdempotencyRecordsMayBeLost says that Redis may have forgotten idempotency keys that are still to be honoured.
	IdempotencyRecordsMayBeLost() bool
}

// OrderStore is what SQL knows of orders.
type OrderStore interface {
	Get(ctx context.Context, id order.ID) (order.Order, error)
	FindByKey(ctx context.Context, customer order.CustomerID, key string) (order.Order, error)
	// MarkPaid brings a pending order to PAID, in SQL alone.
	MarkPaid(ctx context.Context, o order.Order, at time.Time) error
}

// DurabilityWaiter waits until a state is as durable as the setting of the shop promises.
type DurabilityWaiter interface {
	// Wait returns when the place in the journal is as durable as the setting says.
	Wait(ctx context.Context, place journal.Offset, id order.ID) error
}

// Checkout is the CheckoutService.
type Checkout struct {
	Prices   PriceSource
	Carts    CartContents
	Rates    Converter
	Shipping Quoter
	Payments PaymentClient
	Stock    Reserver
	Orders   OrderStore
	Durable  DurabilityWaiter
	Log      *slog.Logger
	// Reader reads the orders that are paid later, as their customers see them. As with Orders.Changing, browsing must not slow it down.
	Reader OrderReader
	// Partition holds the orders that are placed here.
	Partition uint8
	// Paying bounds the charges that are under way; nil is no bound.
	Paying *ChargeSlots
	// PayWithin is how long an order that was placed without a card can be paid.
	PayWithin time.Duration
	// Now is time.Now.
	Now func() time.Time
}

// checkedRequest is what a caller asks for, checked.
type checkedRequest struct {
	customer    order.CustomerID
	key         string
	fingerprint []byte
	demand      []order.Demand
	fromCart    bool
	currency    order.Currency
	email       string
	address     order.Address
	// card is what is charged; without one the order is paid later.
	card     payment.Card
	withCard bool
	// ticket lets the card be charged; nil without one.
	ticket *chargeTicket
	// expected is the total that the customer agreed to; nil accepts any.
	expected *order.Money
}

// check checks the request. Its idempotency key may come as a field or as a header.
func (c *Checkout) intent(ctx context.Context, req *spillwayv1.PlaceOrderRequest) (checkedRequest, error) {
	caller, ok := auth.From(ctx)
	if !ok {
		return checkedRequest{}, errors.New("no caller in the context")
	}
	key, err := idempotencyKey(ctx, req)
	if err != nil {
		return checkedRequest{}, err
	}
	fingerprint, err := fingerprintOf(req)
	if err != nil {
		return checkedRequest{}, err
	}
	in := checkedRequest{
		customer: caller.Customer, key: key, fingerprint: fingerprint, currency: order.Currency(req.GetCurrencyCode()),
		email: req.GetEmail(), address: wire.FromAddress(req.GetShippingAddress()),
		card: cardOf(req.GetCard()), withCard: req.GetCard() != nil,
	}
	if in.expected, err = expectedTotal(req.GetExpectedTotal()); err != nil {
		return checkedRequest{}, err
	}
	if in.fromCart = len(req.GetLines()) == 0; !in.fromCart {
		in.demand, err = wire.FromDemand(req.GetLines())
	}
	return in, inField("lines", err)
}

func cardOf(card *spillwayv1.Card) payment.Card {
	return payment.NewCard(card.GetNumber(), card.GetCvv(), int(card.GetExpiryYear()), int(card.GetExpiryMonth()))
}

// keyHeader may carry the idempotency key instead of the request.
const keyHeader = "Idempotency-Key"

// maxKeyLen is the maximum length of a key, the same as in the validation rule of the field.
const maxKeyLen = 128

// fieldIdempotencyKey is the field that may carry the key, in JSON.
const fieldIdempotencyKey = "idempotencyKey"

func idempotencyKey(ctx context.Context, req *spillwayv1.PlaceOrderRequest) (string, error) {
	return requestKey(ctx, req.GetIdempotencyKey(), "order")
}

// requestKey is the idempotency key of a request, from its field or its header. what is what each key stands for.
func requestKey(ctx context.Context, key, what string) (string, error) {
	var header string
	if info, ok := connect.CallInfoForHandlerContext(ctx); ok {
		header = info.RequestHeader().Get(keyHeader)
	}
	switch {
	case key == "" && header == "":
		return "", invalidField(fieldIdempotencyKey, "send an %s header (or this field), fresh for each %s and the same for its retries", keyHeader, what)
	case key != "" && header != "" && key != header:
		return "", invalidField(fieldIdempotencyKey, "it differs from the %s header: send one of them", keyHeader)
	case key == "":
		key = header
	}
	for i := range len(key) {
		if len(key) > maxKeyLen || key[i] < '!' || key[i] > '~' {
			return "", invalidField(fieldIdempotencyKey, "must be 1 to %d visible ASCII characters", maxKeyLen)
		}
	}
	return key, nil
}

// fingerprintOf tells requests apart. The card stays out: it may be stored nowhere, not even as a hash (I13), which would
// be guessed in seconds. Whether there is one stays in: an order that is paid later is another order. The expected total stays
// out: it says what the customer accepts, not what they order (docs/design/idempotency.md).
func fingerprintOf(req *spillwayv1.PlaceOrderRequest) ([]byte, error) {
	same := proto.CloneOf(req)
	same.Card, same.IdempotencyKey, same.ExpectedTotal = nil, "", nil
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(same)
	if err != nil {
		return nil, fmt.Errorf("marshal a request: %w", err)
	}
	if req.GetCard() == nil {
		b = append(b, payLaterMark...)
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}

// payLaterMark tells the fingerprint of an order without a card. No message ends with it: a tag of 0 is none.
const payLaterMark = "\x00pay later"

// draft is an order that is priced, and how many units of each SKU its customer may order.
type draft struct {
	order.Order
	maxUnits map[order.SKU]int
}

// draft prices what is asked for.
func (c *Checkout) draft(ctx context.Context, in checkedRequest) (draft, error) {
	lines, most, err := c.priceLines(ctx, in.demand, in.currency)
	if err != nil {
		return draft{}, err
	}
	quote, err := c.Shipping.Quote(ctx, in.address, in.demand, in.currency)
	if err == nil {
		err = checkQuote(quote, in.currency)
	}
	if err != nil {
		return draft{}, err
	}
	now := c.Now().UTC().Truncate(time.Microsecond)
	id := order.NewID(c.Partition, now)
	o := order.Order{
		ID: id, CustomerID: in.customer, State: order.Pending, Lines: lines, Currency: in.currency, Email: in.email,
		Address: in.address, TrackingID: shipping.NewTrackingID(id), IdempotencyKey: in.key, Fingerprint: in.fingerprint,
		CreatedAt: now, UpdatedAt: now,
	}
	if !in.withCard {
		o.ExpiresAt = now.Add(c.PayWithin)
	}
	err = o.Price(quote.Amount)
	return draft{o, most}, err
}

// priceLines takes a snapshot of names and prices. Each unit price is converted and rounded once, so that a line's total is
// what its unit price says. It also returns how many units a customer may order.
func (c *Checkout) priceLines(ctx context.Context, demand []order.Demand, currency order.Currency) ([]order.Line, map[order.SKU]int, error) {
	skus := make([]order.SKU, len(demand))
	for i, d := range demand {
		skus[i] = d.SKU
	}
	prices, err := c.Prices.Prices(ctx, skus)
	if err != nil {
		return nil, nil, err
	}
	lines, most := make([]order.Line, len(demand)), make(map[order.SKU]int, len(demand))
	for i, d := range demand {
		if err := forSale(d.SKU, prices[d.SKU].Archived); err != nil {
			return nil, nil, err
		}
		price, err := c.Rates.Convert(prices[d.SKU].Price, currency)
		if err != nil {
			return nil, nil, inField(fieldCurrencyCode, err)
		}
		most[d.SKU] = prices[d.SKU].MaxPerCustomer
		lines[i] = order.Line{SKU: d.SKU, Name: prices[d.SKU].Name, Quantity: d.Quantity, UnitPrice: price.Amount}
	}
	return lines, most, nil
}
