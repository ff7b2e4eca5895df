package load

import (
	"context"
	"fmt"
	"math/rand/v2"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

const (
	// maxCatalogue is the maximum number of products from which the scenarios uniform and mixed choose.
	maxCatalogue = 1000
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

// visit is one arrival. Every random choice is made before it is sent, so that the seed determines it.
type visit struct {
	n        int // counts the arrivals
	sku      string
	cart     bool // buys through a cart
	browses  bool
	fills    bool // puts the product into the cart
	buys     bool
	quantity int32
	// page and currency are those of the scenario OnlineBoutique.
	page     frontPage
	currency string
}

// scenario generates visits.
type scenario struct {
	kind   string
	skus   []string
	random *rand.Rand
	n      int
}

// next draws the next visit.
func (s *scenario) next() visit {
	v := visit{n: s.n, sku: s.skus[s.random.IntN(len(s.skus))], buys: true, quantity: 1}
	s.n++
	if s.kind == Mixed {
		v.browses, v.fills = true, s.random.Float64() < cartShare
		v.buys = v.fills && s.random.Float64() < buyShare
		v.cart = v.fills
		v.quantity = 1 + s.random.Int32N(2)
	}
	if s.kind == OnlineBoutique {
		v.page, v.cart = drawPage(s.random), true
		v.quantity, v.currency = 1+s.random.Int32N(maxUnits), boutiqueCurrencies[s.random.IntN(len(boutiqueCurrencies))]
	}
	return v
}

// catalogue returns the SKUs to choose from.
func catalogue(ctx context.Context, shop Shop) ([]string, error) {
	var skus []string
	for page := ""; len(skus) < maxCatalogue; {
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

// request returns the order of a visit, the same for each attempt.
func (r *run) request(v visit) *spillwayv1.PlaceOrderRequest {
	req := &spillwayv1.PlaceOrderRequest{
		CurrencyCode: "EUR", Email: fmt.Sprintf("load-%d@example.com", v.n), IdempotencyKey: fmt.Sprintf("load-%s-%d", r.id, v.n),
		ShippingAddress: &spillwayv1.Address{Name: "Load Test", Street: "Spillway 1", City: "Berlin", PostalCode: "10115", CountryCode: "DE"},
		Card:            &spillwayv1.Card{Number: r.cfg.Card, Cvv: "123", ExpiryYear: 2090, ExpiryMonth: 12},
	}
	if !v.cart {
		req.Lines = []*spillwayv1.Line{{Sku: v.sku, Quantity: v.quantity}}
	}
	return req
}

// visit makes the calls of the arrival.
func (r *run) visit(ctx context.Context, v visit, b *buyer) response {
	if s, ok := r.shop.(*boutique); ok {
		return r.boutiqueVisit(ctx, s, v, b)
	}
	for _, s := range r.beforehand(v, b) {
		if !s.when {
			continue
		}
		a := r.calls.attempts(ctx, s.name, func(ctx context.Context) (response, error) {
			if err := s.do(ctx); err != nil {
				return classifyError(err), err
			}
			return response{outcome: Browsed}, nil
		})
		if a.unknown = false; a.outcome != Browsed { // No order was sent yet.
			return a
		}
	}
	if !v.buys {
		return response{outcome: Browsed}
	}
	req := r.request(v)
	a := r.calls.attempts(ctx, stepPlace, func(ctx context.Context) (response, error) {
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

// beforehand returns the calls of a visit before its order, in their sequence.
func (r *run) beforehand(v visit, b *buyer) []step {
	if !v.browses {
		return nil
	}
	return []step{
		{stepList, true, func(ctx context.Context) error { _, _, err := r.shop.Products(ctx, ""); return err }},
		{stepRead, true, func(ctx context.Context) error { _, err := r.shop.Product(ctx, v.sku); return err }},
		// Products that an earlier visit left in the cart may be sold out by now.
		{stepEmpty, v.fills && b.dirty, func(ctx context.Context) error { return r.shop.EmptyCart(ctx, b.token) }},
		{stepSetQty, v.fills, func(ctx context.Context) error {
			b.dirty = true
			return r.shop.SetQuantity(ctx, b.token, v.sku, v.quantity)
		}},
	}
}
