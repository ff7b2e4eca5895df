package load

import (
	"context"
	"fmt"
	"math/rand/v2"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

const (
	// catalogueMax bounds how many products the scenarios uniform and mixed choose among.
	catalogueMax = 1000
	// cartShare of the visits of the scenario mixed fill a cart, and buyShare of those buy it.
	cartShare = 0.4
	buyShare  = 0.6
)

// The steps of a visit.
const (
	stepPlace  = "PlaceOrder"
	stepList   = "ListProducts"
	stepRead   = "GetProduct"
	stepEmpty  = "EmptyCart"
	stepSetQty = "SetQuantity"
)

// visit is one arrival: all that is left to chance is decided before it is sent, so that a seed decides it.
type visit struct {
	n        int // counts the arrivals
	sku      string
	cart     bool // buys through a cart
	browses  bool
	fills    bool // puts the product into the cart
	buys     bool
	quantity int32
}

// scenario makes visits.
type scenario struct {
	kind   string
	skus   []string
	random *rand.Rand
	n      int
}

func (s *scenario) next() visit {
	v := visit{n: s.n, sku: s.skus[s.random.IntN(len(s.skus))], buys: true, quantity: 1}
	s.n++
	if s.kind == Mixed {
		v.browses, v.fills = true, s.random.Float64() < cartShare
		v.buys = v.fills && s.random.Float64() < buyShare
		v.cart = v.fills
		v.quantity = 1 + s.random.Int32N(2)
	}
	return v
}

// catalogue lists what can be chosen.
func catalogue(ctx context.Context, shop Shop) ([]string, error) {
	var skus []string
	for page := ""; len(skus) < catalogueMax; {
		products, next, err := shop.Products(ctx, page)
		if err != nil {
			return nil, fmt.Errorf("list the products: %w", err)
		}
		for _, p := range products {
			skus = append(skus, p.GetSku())
		}
		if page = next; page == "" {
			break
		}
	}
	if len(skus) == 0 {
		return nil, fmt.Errorf("the shop has no products: run `spillway seed`: %w", ErrSetup)
	}
	return skus, nil
}

// request is the order of a visit, the same each time that it is sent.
func (r *run) request(v visit) *spillwayv1.PlaceOrderRequest {
	req := &spillwayv1.PlaceOrderRequest{
		CurrencyCode: "EUR", Email: "load@example.com", IdempotencyKey: fmt.Sprintf("load-%s-%d", r.id, v.n),
		ShippingAddress: &spillwayv1.Address{Name: "Load Test", Street: "Spillway 1", City: "Berlin", PostalCode: "10115", CountryCode: "DE"},
		Card:            &spillwayv1.Card{Number: r.cfg.Card, Cvv: "123", ExpiryYear: 2090, ExpiryMonth: 12},
	}
	if !v.cart {
		req.Lines = []*spillwayv1.Line{{Sku: v.sku, Quantity: v.quantity}}
	}
	return req
}

// visit does what the arrival came for.
func (r *run) visit(ctx context.Context, v visit, b *buyer) answer {
	for _, s := range r.beforehand(v, b) {
		if !s.when {
			continue
		}
		a := r.calls.attempts(ctx, s.name, func(ctx context.Context) (answer, error) {
			if err := s.do(ctx); err != nil {
				return classifyError(err), err
			}
			return answer{outcome: Browsed}, nil
		})
		if a.unknown = false; a.outcome != Browsed { // No order was sent yet.
			return a
		}
	}
	if !v.buys {
		return answer{outcome: Browsed}
	}
	req := r.request(v)
	a := r.calls.attempts(ctx, stepPlace, func(ctx context.Context) (answer, error) {
		o, err := r.shop.Place(ctx, b.token, req)
		return classify(o, err), err
	})
	if v.cart && a.outcome == Accepted {
		b.dirty = false // A paid order empties the cart.
	}
	return a
}

// step is a call before the order.
type step struct {
	name string
	when bool
	do   func(ctx context.Context) error
}

func (r *run) beforehand(v visit, b *buyer) []step {
	if !v.browses {
		return nil
	}
	return []step{
		{stepList, true, func(ctx context.Context) error { _, _, err := r.shop.Products(ctx, ""); return err }},
		{stepRead, true, func(ctx context.Context) error { _, err := r.shop.Product(ctx, v.sku); return err }},
		// What an earlier visit left behind may be sold out by now.
		{stepEmpty, v.fills && b.dirty, func(ctx context.Context) error { return r.shop.EmptyCart(ctx, b.token) }},
		{stepSetQty, v.fills, func(ctx context.Context) error {
			b.dirty = true
			return r.shop.SetQuantity(ctx, b.token, v.sku, v.quantity)
		}},
	}
}
