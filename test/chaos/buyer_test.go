package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"connectrpc.com/connect"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

const (
	// callTimeout is the deadline of one call: longer than an unanswered charge takes, less than a part is frozen.
	callTimeout = 6 * time.Second
	// retryEvery is a client's pause before it sends the same request again.
	retryEvery = 150 * time.Millisecond
	// calmPatience bounds how long an attempt may go without a definite answer once all parts are up.
	calmPatience = 60 * time.Second
	// cancelPatience is how long a client wants to cancel: while the queue is away, a paid order has no row yet that could be cancelled, and
	// buyers who wait for that buy nothing.
	cancelPatience = 10 * time.Second
	// unpaidTries is how often a client retries an order with an unknown payment.
	unpaidTries = 3
)

const (
	cardGood       = "4242424242424242"
	cardDeclined   = "4000000000009995"
	cardSlow       = "4000000000000077"
	cardNoAnswer   = "4000000000000259"
	cardAnswerLost = "4000000000000341"
	cardDown       = "4000000000000036"
)

// buyer places one order after the other.
type buyer struct {
	*market
	who      order.CustomerID
	number   int
	rng      *rand.Rand
	wants    []product // what it orders of
	checkout spillwayv1connect.CheckoutServiceClient
	orders   spillwayv1connect.OrderServiceClient
}

func (b *buyer) shop(ctx context.Context) {
	for n := 0; ctx.Err() == nil && b.ctx.Err() == nil; n++ {
		a := &attempt{who: b.who, key: fmt.Sprintf("%d-%d", b.number, n), began: time.Now(), lines: b.lines()}
		b.keep(a)
		b.order(ctx, a)
		_ = wait(ctx, upTo(b.rng, thinkMax))
	}
}

// keep adds the attempt to those that are checked in the end.
func (m *market) keep(a *attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.attempts = append(m.attempts, a)
}

// lines: one product or two of those that the buyer wants, a unit or three of each.
func (b *buyer) lines() []*spillwayv1.Line {
	out := make([]*spillwayv1.Line, 0, 2)
	for _, i := range b.rng.Perm(len(b.wants))[:min(len(b.wants), 1+b.rng.IntN(2))] {
		out = append(out, &spillwayv1.Line{Sku: string(b.wants[i].sku), Quantity: 1 + b.rng.Int32N(3)})
	}
	return out
}

// order places one and does one of the things that buyers do.
func (b *buyer) order(ctx context.Context, a *attempt) {
	dice := b.rng.IntN(100)
	if dice < 20 {
		b.payLater(ctx, a, dice)
		return
	}
	a.card = card(dice)
	if !b.place(a) || a.id == "" {
		return
	}
	for range unpaidTries {
		if a.last != order.Pending || wait(ctx, retryEvery) != nil || !b.place(a) {
			break
		}
	}
	if a.id == "" { // Lost meanwhile, and sold out.
		return
	}
	switch do := b.rng.IntN(100); {
	case do < 15:
		b.cancel(a)
	case do < 45:
		b.read(a)
	case do < 55:
		b.place(a) // A retry gets the same order.
	}
}

// card is chosen by a number from 20 to 99.
func card(dice int) string {
	switch {
	case dice < 28:
		return cardDeclined
	case dice < 31:
		return cardSlow
	case dice < 34:
		return cardAnswerLost
	case dice < 36:
		return cardNoAnswer
	case dice < 38:
		return cardDown
	}
	return cardGood
}

// payLater places an order without a card, and pays it, cancels it, or lets it expire.
func (b *buyer) payLater(ctx context.Context, a *attempt, dice int) {
	if !b.place(a) || a.id == "" {
		return
	}
	switch {
	case dice < 10:
		_ = wait(ctx, upTo(b.rng, payWithin/4))
		b.pay(a)
	case dice < 12: // At the moment of expiry.
		_ = wait(ctx, payWithin)
		b.pay(a)
	case dice < 16:
		b.cancel(a)
	}
}

func (b *buyer) place(a *attempt) bool {
	req := placeRequest(a)
	return b.insist(a, "PlaceOrder", 0, func(ctx context.Context) (*spillwayv1.Order, error) {
		resp, err := b.checkout.PlaceOrder(ctx, req)
		return resp.GetOrder(), err
	})
}

func placeRequest(a *attempt) *spillwayv1.PlaceOrderRequest {
	return &spillwayv1.PlaceOrderRequest{
		Lines: a.lines, CurrencyCode: "EUR", Email: "a@example.com", IdempotencyKey: a.key, Card: wireCard(a.card),
		ShippingAddress: &spillwayv1.Address{Name: "A", Street: "S 1", City: "Berlin", PostalCode: "10115", CountryCode: "DE"},
	}
}

func (b *buyer) pay(a *attempt) {
	for range unpaidTries {
		if !b.insist(a, "PayOrder", 0, func(ctx context.Context) (*spillwayv1.Order, error) {
			resp, err := b.checkout.PayOrder(ctx, &spillwayv1.PayOrderRequest{OrderId: string(a.id), Card: wireCard(cardGood)})
			return resp.GetOrder(), err
		}) || a.last != order.Pending {
			return
		}
	}
}

func (b *buyer) cancel(a *attempt) {
	if b.keeping.Load() {
		return
	}
	a.cancelled = true
	b.insist(a, "CancelOrder", cancelPatience, func(ctx context.Context) (*spillwayv1.Order, error) {
		resp, err := b.orders.CancelOrder(ctx, &spillwayv1.CancelOrderRequest{OrderId: string(a.id), Reason: "chaos"})
		return resp.GetOrder(), err
	})
}

func (b *buyer) read(a *attempt) {
	b.insist(a, "GetOrder", 0, func(ctx context.Context) (*spillwayv1.Order, error) {
		resp, err := b.orders.GetOrder(ctx, &spillwayv1.GetOrderRequest{OrderId: string(a.id)})
		return resp.GetOrder(), err
	})
}

func wireCard(number string) *spillwayv1.Card {
	if number == "" {
		return nil
	}
	return &spillwayv1.Card{Number: number, Cvv: "123", ExpiryYear: 2040, ExpiryMonth: 1}
}

// insist makes the call until its response is definite, and returns whether that was an order or a refusal that the client understands. With
// a patience it may be given up.
func (b *buyer) insist(a *attempt, call string, patience time.Duration, do func(ctx context.Context) (*spillwayv1.Order, error)) bool {
	began := time.Now()
	for b.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(b.ctx, callTimeout)
		o, err := do(ctx)
		cancel()
		code := connect.CodeOf(err)
		switch {
		case err == nil:
			b.acknowledged(a, call, o)
			return true
		case connect.IsWireError(err) && code == connect.CodeNotFound && b.mayBeLost(a):
			a.note(call, err.Error())
			a.lose()
			return false
		case connect.IsWireError(err) && code == connect.CodeFailedPrecondition:
			b.refused(a, call, err)
			return true
		case connect.IsWireError(err) && !isTransient(code):
			a.note(call, err.Error())
			b.complain(string(a.who), a, "%s got %v", call, err)
			return false
		}
		a.note(call, err.Error())
		if patience > 0 && time.Since(began) > patience {
			return false
		}
		if b.gaveUp(began) {
			b.complain(string(a.who), a, "%s got no definite answer within %s although all parts were up; the last one: %v", call, calmPatience, err)
			return false
		}
		_ = wait(b.ctx, retryEvery+upTo(b.rng, retryEvery))
	}
	return false
}

// isTransient reports whether a client is to send the same request again. A server that ends breaks off what it does.
func isTransient(code connect.Code) bool {
	switch code {
	case connect.CodeUnavailable, connect.CodeResourceExhausted, connect.CodeDeadlineExceeded, connect.CodeCanceled:
		return true
	default:
		return false
	}
}

func (m *market) gaveUp(began time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.calmSince.IsZero() && time.Since(began) > calmPatience && time.Since(m.calmSince) > calmPatience
}

// acknowledged records the response and compares it with the one before.
func (b *buyer) acknowledged(a *attempt, call string, o *spillwayv1.Order) {
	state, err := wire.FromState(o.GetState())
	a.note(call, fmt.Sprintf("order %s is %s", o.GetId(), state))
	b.responded(false)
	id := order.ID(o.GetId())
	switch {
	case err != nil:
		b.complain(string(a.who), a, "%s returned %v", call, err)
	case a.id != "" && (a.id != id || !state.Follows(a.last)) && b.mayBeLost(a):
		a.lose()
		a.learn(id, state)
	case a.id != "" && a.id != id && b.mayBePlacedAgain(a):
		a.replace()
		a.learn(id, state)
	case a.id != "" && a.id != id:
		b.complain(string(a.who), a, "key %s got order %s, and before that %s", a.key, id, a.id)
	case a.id != "" && !state.Follows(a.last):
		b.complain(string(a.who), a, "%s returned %s for an order that was %s before", call, state, a.last)
	default:
		a.learn(id, state)
	}
}

// refused remembers a refusal: sold out, declined, or too late.
func (b *buyer) refused(a *attempt, call string, err error) {
	a.note(call, err.Error())
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return
	}
	sold := false
	for _, d := range ce.Details() {
		v, err := d.Value()
		if err != nil {
			continue
		}
		switch detail := v.(type) {
		case *spillwayv1.SoldOut:
			sold = true
			if b.mayBeLost(a) {
				a.lose()
			}
			if a.id != "" {
				b.complain(string(a.who), a, "%s says sold out for order %s, which was %s before", call, a.id, a.last)
			}
		case *spillwayv1.PaymentDeclined:
			a.learn(order.ID(detail.GetOrderId()), order.Cancelled)
		}
	}
	b.responded(sold)
}

func (m *market) responded(sold bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers++
	if sold {
		m.soldOut++
	}
}
