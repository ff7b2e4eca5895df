package order_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillway/spillway/order"
)

func TestMoney_UnitsNanosRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		m := order.Money{
			Currency: rapid.SampledFrom([]order.Currency{"EUR", "USD", "JPY"}).Draw(r, "currency"),
			Amount:   order.Cents(rapid.Int64Range(-1e15, 1e15).Draw(r, "amount")),
		}
		units, nanos := m.UnitsNanos()
		if got, err := order.FromUnitsNanos(m.Currency, units, nanos); err != nil || got != m {
			r.Fatalf("%v became %d and %d nanos, and those %v (%v)", m, units, nanos, got, err)
		}
	})
}

func TestFromUnitsNanos_Malformed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		currency order.Currency
		units    int64
		nanos    int32
	}{
		"differing signs": {"EUR", 1, -10_000_000}, "half a cent": {"EUR", 1, 5_000_000}, "half a yen": {"JPY", 1, 500_000_000},
		"too much": {"EUR", math.MaxInt64, 0}, "too little": {"EUR", math.MinInt64, 0},
	} {
		if m, err := order.FromUnitsNanos(c.currency, c.units, c.nanos); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	for m, want := range map[order.Money]string{
		{Currency: "EUR", Amount: 1299}: "12.99 EUR", {Currency: "EUR", Amount: -5}: "-0.05 EUR", {Currency: "JPY", Amount: 120}: "120 JPY",
	} {
		if m.String() != want {
			t.Errorf("%#v is shown as %s", m, m)
		}
	}
}

func TestCents_Overflow(t *testing.T) {
	t.Parallel()
	big := order.Cents(math.MaxInt64)
	if _, err := big.Plus(1); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("too much and one: %v", err)
	}
	if _, err := (-big).Plus(-2); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("too little and less: %v", err)
	}
	if _, err := big.Times(2); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("twice too much: %v", err)
	}
	if got, err := order.Cents(250).Times(3); err != nil || got != 750 {
		t.Errorf("3 × 250 = %d, %v", got, err)
	}
	o := order.Order{Lines: []order.Line{{SKU: "A", Quantity: 2, UnitPrice: big / 2}, {SKU: "B", Quantity: 2, UnitPrice: big / 2}}}
	if err := o.Price(0); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("lines that do not fit: %v", err)
	}
}

func TestSumDemand_PerSKU(t *testing.T) {
	t.Parallel()
	got, err := order.SumDemand([]order.Demand{{"B", 1}, {"A", 2}, {"B", 3}})
	if err != nil || !slices.Equal(got, []order.Demand{{"A", 2}, {"B", 4}}) {
		t.Errorf("%v, %v", got, err)
	}
	many := make([]order.Demand, order.MaxLines+1)
	for i := range many {
		many[i] = order.Demand{SKU: "A", Quantity: 1}
	}
	for name, bad := range map[string][]order.Demand{
		"none": nil, "zero": {{"A", 0}}, "negative": {{"A", -1}}, "too many of one": {{"A", order.MaxQuantity + 1}},
		"too many of one in two lines": {{"A", order.MaxQuantity}, {"A", 1}}, "too many lines": many,
		"a sum that would overflow": {{"A", math.MaxInt}, {"A", math.MaxInt}},
	} {
		if _, err := order.SumDemand(bad); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOrder_Price(t *testing.T) {
	t.Parallel()
	o := order.Order{Lines: []order.Line{{SKU: "A", Quantity: 2, UnitPrice: 150}, {SKU: "B", Quantity: 1, UnitPrice: 99}}}
	if err := o.Price(499); err != nil || o.ItemsTotal != 399 || o.ShippingTotal != 499 || o.Total != 898 {
		t.Errorf("%d + %d = %d (%v)", o.ItemsTotal, o.ShippingTotal, o.Total, err)
	}
	if !slices.Equal(o.Demand(), []order.Demand{{"A", 2}, {"B", 1}}) {
		t.Errorf("it takes %v", o.Demand())
	}
}

func TestErrors_Text(t *testing.T) {
	t.Parallel()
	sold := &order.SoldOutError{Shortages: []order.Shortage{{SKU: "A", Requested: 3, Available: 1}}}
	if sold.Error() != "sold out: A: 3 asked for, 1 left" {
		t.Error(sold)
	}
	if retry := (&order.RetryError{After: time.Second, Err: order.ErrOverloaded}); !errors.Is(retry, order.ErrOverloaded) ||
		retry.Error() != order.ErrOverloaded.Error() {
		t.Error(retry)
	}
	if d := (&order.DeclinedError{Code: "lost_card"}); d.Error() != "card declined: lost_card" {
		t.Error(d)
	}
}
