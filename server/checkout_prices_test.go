package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/currency"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/payment/paymenttest"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/wire"
)

// fakeReservations is the stock in a map. It knows neither quantities nor epochs.
type fakeReservations struct {
	mu       sync.Mutex
	records  map[order.ID]stock.HotOrder
	keys     map[string]order.ID
	reserved int
}

func (f *fakeReservations) Reserve(_ context.Context, r stock.Request) (stock.Reservation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id, err := f.lookUp(r.Customer, r.Key, r.Fingerprint); err != nil || id != "" {
		return stock.Reservation{Replay: id}, err
	}
	f.reserved++
	f.keys[string(r.Customer)+r.Key] = r.OrderID
	f.records[r.OrderID] = stock.HotOrder{State: order.Pending, Snapshot: r.Snapshot}
	return stock.Reservation{}, nil
}

func (f *fakeReservations) MarkUnpaid(context.Context, order.ID) error { return nil }

func (f *fakeReservations) lookUp(customer order.CustomerID, key string, fingerprint []byte) (order.ID, error) {
	id, ok := f.keys[string(customer)+key]
	if !ok {
		return "", nil
	}
	o, err := wire.UnmarshalSnapshot(f.records[id].Snapshot)
	if err == nil && !bytes.Equal(o.Fingerprint, fingerprint) {
		err = order.KeyReused(id)
	}
	return id, err
}

func (f *fakeReservations) Replay(_ context.Context, customer order.CustomerID, key string, fingerprint []byte) (order.ID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lookUp(customer, key, fingerprint)
}

func (f *fakeReservations) move(id order.ID, to order.State, reason string) (journal.Offset, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rec, ok := f.records[id]
	switch {
	case !ok:
		return journal.Offset{}, order.ErrNotFound
	case rec.State != order.Pending && rec.State != to:
		return journal.Offset{}, order.ErrFailedPrecondition
	}
	rec.State, rec.Reason = to, reason
	f.records[id] = rec
	return journal.Offset{}, nil
}

func (f *fakeReservations) Settle(_ context.Context, id order.ID, _, _ string) (journal.Offset, error) {
	return f.move(id, order.Paid, "")
}

func (f *fakeReservations) Release(_ context.Context, id order.ID, reason, _ string) (journal.Offset, error) {
	return f.move(id, order.Cancelled, reason)
}

func (f *fakeReservations) HotOrder(_ context.Context, id order.ID) (stock.HotOrder, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rec, ok := f.records[id]
	if !ok {
		return stock.HotOrder{}, order.ErrNotFound
	}
	return rec, nil
}

func (f *fakeReservations) States(context.Context, []order.ID) (map[order.ID]order.State, error) {
	return map[order.ID]order.State{}, nil
}

func (*fakeReservations) IdempotencyRecordsMayBeLost() bool { return false }

// fakeCart is one customer's cart.
type fakeCart struct{ items []order.Demand }

func (f *fakeCart) Contents(context.Context, order.CustomerID) ([]order.Demand, error) {
	return f.items, nil
}

func (f *fakeCart) EmptyIf(context.Context, order.CustomerID, []order.Demand) error {
	f.items = nil
	return nil
}

// fakeUniformPrices has one price for every product.
type fakeUniformPrices struct {
	price    order.Money
	archived bool
}

func (s *fakeUniformPrices) Prices(_ context.Context, skus []order.SKU) (map[order.SKU]ProductPrice, error) {
	out := map[order.SKU]ProductPrice{}
	for _, sku := range skus {
		out[sku] = ProductPrice{Name: "thing", Price: s.price, Archived: s.archived}
	}
	return out, nil
}

// stubUniformQuoter has one price for every parcel.
type stubUniformQuoter struct{ cost order.Money }

func (s *stubUniformQuoter) Quote(context.Context, order.Address, []order.Demand, order.Currency) (order.Money, error) {
	return s.cost, nil
}

// stubEmptyOrders has no rows, as SQL before the drain.
type stubEmptyOrders struct{ stubRows }

func (stubEmptyOrders) CancellationOf(context.Context, order.ID) (order.CancelReason, error) {
	return order.CancelReason{}, order.ErrNotFound
}

func (stubEmptyOrders) FindByKey(context.Context, order.CustomerID, string) (order.Order, error) {
	return order.Order{}, order.ErrNotFound
}

func (stubEmptyOrders) MarkPaid(context.Context, order.Order, time.Time) error { return nil }

// checkoutFixture is a checkout with a real ledger, on which a test can change prices.
type checkoutFixture struct {
	*Checkout
	ctx      context.Context //nolint:containedctx // It names the customer of the test.
	stock    *fakeReservations
	carts    *fakeCart
	prices   *fakeUniformPrices
	quoter   *stubUniformQuoter
	payment  *payment.Service
	payments payment.Client
	provider *paymenttest.FakeProvider
}

func newCheckoutFixture(t *testing.T) *checkoutFixture {
	t.Helper()
	rates, err := currency.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := &checkoutFixture{
		ctx:    auth.With(t.Context(), auth.Caller{Customer: "c1"}),
		stock:  &fakeReservations{records: map[order.ID]stock.HotOrder{}, keys: map[string]order.ID{}},
		carts:  &fakeCart{},
		prices: &fakeUniformPrices{price: order.Money{Currency: "EUR", Amount: 1000}},
		quoter: &stubUniformQuoter{order.Money{Currency: "EUR", Amount: 500}},
	}
	s.payment, s.provider = newPayment(t)
	s.payments = newPayments(t, s.payment)
	log := slog.New(slog.DiscardHandler)
	s.Checkout = &Checkout{
		Prices: s.prices, Carts: s.carts, Rates: rates, Shipping: s.quoter, Stock: s.stock, Orders: stubEmptyOrders{}, Durable: stubDurable{}, Log: log,
		Payments: s.payments,
		Reader:   OrderReader{Hot: s.stock, Rows: stubRows{}, Log: log}, PayWithin: time.Hour, Now: time.Now,
	}
	return s
}

func euros(units int64) *spillwayv1.Money {
	return &spillwayv1.Money{CurrencyCode: "EUR", Units: units}
}

// place orders one thing; without a number it is paid later.
func (s *checkoutFixture) place(key, number string, expected *spillwayv1.Money) (*spillwayv1.Order, error) {
	req := &spillwayv1.PlaceOrderRequest{
		Lines: []*spillwayv1.Line{{Sku: "A", Quantity: 1}}, CurrencyCode: "EUR", Email: "a@example.com", IdempotencyKey: key, ExpectedTotal: expected,
		ShippingAddress: &spillwayv1.Address{Name: "A", Street: "S", City: "B", CountryCode: "DE"},
	}
	if number != "" {
		req.Card = testCard(number)
	}
	if len(s.carts.items) > 0 {
		req.Lines = nil
	}
	resp, err := s.PlaceOrder(s.ctx, req)
	return resp.GetOrder(), err
}

func (s *checkoutFixture) pay(id, number string, expected *spillwayv1.Money) (*spillwayv1.Order, error) {
	resp, err := s.PayOrder(s.ctx, &spillwayv1.PayOrderRequest{OrderId: id, Card: testCard(number), ExpectedTotal: expected})
	return resp.GetOrder(), err
}

func wantPriceChanged(t *testing.T, err error, expected, actual order.Money) {
	t.Helper()
	var changed *order.PriceChangedError
	if !errors.As(err, &changed) || changed.Expected != expected || changed.Actual != actual {
		t.Errorf("%v; want PriceChanged from %s to %s", err, expected, actual)
	}
}

func TestPlaceOrder_OtherTotalThanExpected(t *testing.T) {
	quoted, changed := order.Money{Currency: "EUR", Amount: 1500}, order.Money{Currency: "EUR", Amount: 2500}
	for name, expect := range map[string]order.Money{"amount": quoted, "currency": {Currency: "USD", Amount: 2500}} {
		t.Run(name, func(t *testing.T) {
			s := newCheckoutFixture(t)
			s.carts.items = []order.Demand{{SKU: "A", Quantity: 1}}
			s.prices.price.Amount = 2000
			_, err := s.place("k", goodCard, wire.Money(expect))
			wantPriceChanged(t, err, expect, changed)
			if s.stock.reserved != 0 || s.provider.Charges.Load() != 0 || len(s.carts.items) == 0 {
				t.Errorf("%d reservations, %d charges, cart %v; want no side effect", s.stock.reserved, s.provider.Charges.Load(), s.carts.items)
			}
			if o, err := s.place("k", goodCard, euros(25)); err != nil || o.GetTotal().GetUnits() != 25 {
				t.Errorf("the same key with the new total: %v, %v", o.GetTotal(), err)
			}
		})
	}
}

func TestPlaceOrder_RetryAfterPricesChanged(t *testing.T) {
	s := newCheckoutFixture(t)
	first, err := s.place("k", goodCard, euros(15))
	if err != nil {
		t.Fatal(err)
	}
	s.prices.price.Amount = 2000
	for name, expected := range map[string]*spillwayv1.Money{"the same": euros(15), "another": euros(25), "none": nil} {
		if again, err := s.place("k", goodCard, expected); err != nil || again.GetId() != first.GetId() {
			t.Errorf("retry with %s expected total: %v, %v; want the first order", name, again.GetId(), err)
		}
	}
}

// TestPlaceOrder_ResumeWithOtherTotal: the order of the key is not charged yet, and its total is not what the retry accepts. The retry
// gets the order as it is and does not charge it; one that accepts the total does.
func TestPlaceOrder_ResumeWithOtherTotal(t *testing.T) {
	for name, fromCart := range map[string]bool{"lines": false, "cart": true} {
		t.Run(name, func(t *testing.T) {
			s := newCheckoutFixture(t)
			if fromCart {
				s.carts.items = []order.Demand{{SKU: "A", Quantity: 1}}
			}
			s.provider.Down.Store(true)
			first, err := s.place("k", goodCard, nil)
			if err != nil || first.GetState() != spillwayv1.OrderState_ORDER_STATE_PENDING {
				t.Fatalf("placed: %v, %v", first.GetState(), err)
			}
			s.provider.Down.Store(false)
			before := s.provider.Charges.Load()
			for name, expected := range map[string]*spillwayv1.Money{"amount": euros(14), "currency": {CurrencyCode: "USD", Units: 15}} {
				again, err := s.place("k", goodCard, expected)
				if err != nil || again.GetId() != first.GetId() || again.GetState() != spillwayv1.OrderState_ORDER_STATE_PENDING || again.GetTotal().GetUnits() != 15 {
					t.Errorf("retry with another %s: %v, %v; want the pending order", name, again, err)
				}
			}
			if n := s.provider.Charges.Load() - before; n != 0 || s.stock.reserved != 1 {
				t.Errorf("%d charges and %d reservations; want no side effect", n, s.stock.reserved)
			}
			if o, err := s.place("k", goodCard, euros(15)); err != nil || o.GetId() != first.GetId() || o.GetState() != spillwayv1.OrderState_ORDER_STATE_PAID {
				t.Errorf("the retry that accepts the total: %v, %v", o.GetState(), err)
			}
		})
	}
}

func TestPayOrder_OtherTotalThanExpected(t *testing.T) {
	s := newCheckoutFixture(t)
	o, err := s.place("k", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.pay(o.GetId(), goodCard, euros(14))
	wantPriceChanged(t, err, order.Money{Currency: "EUR", Amount: 1400}, order.Money{Currency: "EUR", Amount: 1500})
	if n := s.provider.Charges.Load(); n != 0 {
		t.Errorf("the provider was called %d times", n)
	}
	for range 2 { // The second one finds it paid.
		if o, err = s.pay(o.GetId(), goodCard, euros(15)); err != nil || o.GetState() != spillwayv1.OrderState_ORDER_STATE_PAID {
			t.Errorf("paid: %v, %v", o.GetState(), err)
		}
	}
}

func TestPayOrder_DeclinedCardLeavesTheOrderPending(t *testing.T) {
	s := newCheckoutFixture(t)
	o, err := s.place("k", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var declined *order.DeclinedError
	for range 2 {
		if _, err := s.pay(o.GetId(), declinedCard, nil); !errors.As(err, &declined) || !declined.PayUntil.Equal(o.GetExpireTime().AsTime()) {
			t.Errorf("pay: %v; want a decline with the time until which the order can be paid", err)
		}
		if rec := s.stock.records[order.ID(o.GetId())]; rec.State != order.Pending {
			t.Fatalf("the order is %s; want PENDING", rec.State)
		}
	}
	if paid, err := s.pay(o.GetId(), goodCard, nil); err != nil || paid.GetState() != spillwayv1.OrderState_ORDER_STATE_PAID {
		t.Errorf("another card: %v, %v", paid.GetState(), err)
	}
	if outcome, _, err := s.provider.Find(t.Context(), order.ID(o.GetId())); err != nil || !outcome.Succeeded || outcome.Attempt != 3 {
		t.Errorf("the provider has %+v, %v; want the third attempt", outcome, err)
	}
}

func TestPlaceOrder_DeclinedCardKeepsTheCart(t *testing.T) {
	s := newCheckoutFixture(t)
	s.carts.items = []order.Demand{{SKU: "A", Quantity: 1}}
	var declined *order.DeclinedError
	for range 2 { // The second one is a retry of the same request.
		if _, err := s.place("k", declinedCard, nil); !errors.As(err, &declined) || !declined.PayUntil.IsZero() {
			t.Errorf("place: %v; want a decline of a cancelled order", err)
		}
		if len(s.carts.items) != 1 || s.stock.reserved != 1 {
			t.Fatalf("the cart has %v after %d reservations", s.carts.items, s.stock.reserved)
		}
	}
	if o, err := s.place("k2", goodCard, nil); err != nil || o.GetState() != spillwayv1.OrderState_ORDER_STATE_PAID || len(s.carts.items) != 0 {
		t.Errorf("a new key with another card: %v, %v; the cart has %v", o.GetState(), err, s.carts.items)
	}
}

func TestPlaceOrder_ShippingQuotedInAnotherCurrency(t *testing.T) {
	for name, cost := range map[string]order.Money{"another currency": {Currency: "USD", Amount: 500}, "less than nothing": {Currency: "EUR", Amount: -1}} {
		t.Run(name, func(t *testing.T) {
			s := newCheckoutFixture(t)
			s.quoter.cost = cost
			_, err := s.place("k", goodCard, nil)
			if err == nil || s.stock.reserved != 0 || s.provider.Charges.Load() != 0 {
				t.Fatalf("%v after %d reservations and %d charges; want an error and no order", err, s.stock.reserved, s.provider.Charges.Load())
			}
			if ce := new(connect.Error); !errors.As(translate(t.Context(), s.Log, "p", err), &ce) || ce.Code() != connect.CodeInternal {
				t.Errorf("answered as %v; want internal", ce)
			}
		})
	}
}

// stubOldRates are too old to convert anything.
type stubOldRates struct{}

var errOldRates = &order.RatesTooOldError{Date: "2025-10-21", MaxAge: time.Hour}

func (stubOldRates) Convert(m order.Money, to order.Currency) (order.Money, error) {
	if m.Currency == to {
		return m, nil
	}
	return order.Money{}, errOldRates
}

func TestPlaceOrder_RatesTooOld(t *testing.T) {
	s := newCheckoutFixture(t)
	s.Rates = stubOldRates{}
	if _, err := s.place("k", goodCard, nil); err != nil {
		t.Errorf("an order in the catalogue's own currency: %v", err)
	}
	s.prices.price.Currency = "USD"
	_, err := s.place("k2", goodCard, nil)
	if !errors.Is(err, order.ErrRatesTooOld) || s.stock.reserved != 1 {
		t.Fatalf("an order in another one: %v, %d reservations; want ErrRatesTooOld", err, s.stock.reserved)
	}
	var ce *connect.Error
	if !errors.As(translate(t.Context(), s.Log, "p", err), &ce) || ce.Code() != connect.CodeUnavailable || len(ce.Details()) != 2 ||
		ce.Meta().Get("Retry-After") != "60" {
		t.Fatalf("answered as %v with %v; want unavailable with two details", ce, ce.Meta())
	}
	if info := detailOf[*errdetails.ErrorInfo](ce); info.GetReason() != "RATES_TOO_OLD" || info.GetMetadata()["rateDate"] != "2025-10-21" ||
		info.GetMetadata()["maxAge"] != "1h0m0s" {
		t.Errorf("ErrorInfo = %v", info)
	}
}
