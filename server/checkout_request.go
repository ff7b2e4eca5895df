package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/spillway/spillway/auth"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/wire"
)

// checkedRequest is a valid request of PlaceOrder, PayOrder or Quote.
type checkedRequest struct {
	customer    order.CustomerID
	key         string
	fingerprint []byte
	demand      []order.Demand
	fromCart    bool
	currency    order.Currency
	email       string
	address     order.Address
	// card is the card to charge, if withCard; otherwise the order is paid later.
	card     payment.Card
	withCard bool
	// ticket lets the card be charged; nil without one.
	ticket *chargeTicket
	// expected is the total that the customer agreed to; nil accepts any.
	expected *order.Money
	// lookedUp is set when SQL has no order of the key.
	lookedUp bool
}

// check validates the request. Its idempotency key may come in a field or in a header.
func (*Checkout) check(ctx context.Context, req *spillwayv1.PlaceOrderRequest) (checkedRequest, error) {
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

// requestKey returns the idempotency key of a request, from its field or its header. what names in errors the thing that a key identifies.
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

// fingerprintOf returns a hash of the request, to detect a key that is reused with another request. It excludes the card, which must not be
// stored anywhere, not even as a hash (I13) that can be brute-forced in seconds; but an order with a card and one without differ. It excludes
// the expected total, which is a condition and not part of the order (docs/design/idempotency.md).
func fingerprintOf(req *spillwayv1.PlaceOrderRequest) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(fingerprinted(req))
	if err != nil {
		return nil, fmt.Errorf("marshal a request: %w", err)
	}
	if req.GetCard() == nil {
		b = append(b, payLaterMark...)
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}

// fingerprinted returns the part of the request that its fingerprint covers. It shares the request's messages: a deep copy of each request
// takes ten times the memory.
func fingerprinted(req *spillwayv1.PlaceOrderRequest) *spillwayv1.PlaceOrderRequest {
	same := &spillwayv1.PlaceOrderRequest{
		Lines: req.GetLines(), CurrencyCode: req.GetCurrencyCode(), Email: req.GetEmail(), ShippingAddress: req.GetShippingAddress(),
	}
	if unknown := req.ProtoReflect().GetUnknown(); len(unknown) > 0 {
		same.ProtoReflect().SetUnknown(unknown)
	}
	return same
}

// payLaterMark ends the hashed bytes of an order without a card. No protobuf message ends with it, because 0 is not a valid tag.
const payLaterMark = "\x00pay later"

// expectedTotal reads the total that a customer agreed to; nil when the request has none.
func expectedTotal(m *spillwayv1.Money) (*order.Money, error) {
	if m == nil {
		return nil, nil //nolint:nilnil // No total is expected.
	}
	total, err := wire.FromMoney(m)
	return &total, inField("expectedTotal", err)
}

// accepts returns a *order.PriceChangedError when the order's total is not what the customer agreed to.
func (in checkedRequest) accepts(o order.Order) error {
	actual := order.Money{Currency: o.Currency, Amount: o.Total}
	if in.expected == nil || *in.expected == actual {
		return nil
	}
	return &order.PriceChangedError{Expected: *in.expected, Actual: actual}
}
