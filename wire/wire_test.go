package wire_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

func anOrder(r *rapid.T) order.Order {
	text := rapid.StringN(0, 20, -1)
	at := time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(r, "at")).UTC()
	o := order.Order{
		ID: order.NewID(0, at), CustomerID: order.CustomerID(text.Draw(r, "customer")), State: rapid.SampledFrom(order.States()).Draw(r, "state"),
		Currency: rapid.SampledFrom([]order.Currency{"EUR", "JPY"}).Draw(r, "currency"), Email: text.Draw(r, "email"),
		Address: order.Address{Name: text.Draw(r, "name"), Street: text.Draw(r, "street"), CountryCode: "DE"},
		TrackingID: text.Draw(
			r,
			"tracking",
		), CancelReason: order.CancelledAs(rapid.SampledFrom(order.CancelCodes()).Draw(r, "code"), text.Draw(r, "reason")), IdempotencyKey: text.Draw(r, "key"),
		Fingerprint: rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(r, "fingerprint"), CreatedAt: at, UpdatedAt: at.Add(time.Microsecond),
		Lines: []order.Line{},
	}
	for _, sku := range rapid.SliceOfNDistinct(rapid.StringMatching("[A-Z0-9]{1,10}"), 0, 5, rapid.ID[string]).Draw(r, "skus") {
		o.Lines = append(o.Lines, order.Line{
			SKU: order.SKU(sku), Name: text.Draw(r, "product"), Quantity: rapid.IntRange(1, order.MaxQuantity).Draw(r, "quantity"),
			UnitPrice: order.Cents(rapid.Int64Range(0, 1e9).Draw(r, "price")),
		})
	}
	if err := o.Price(order.Cents(rapid.Int64Range(0, 1e6).Draw(r, "shipping"))); err != nil {
		r.Fatal(err)
	}
	return o
}

func TestSnapshot_RoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		o := anOrder(r)
		b, err := wire.MarshalSnapshot(o)
		if err != nil {
			r.Fatal(err)
		}
		if got, err := wire.UnmarshalSnapshot(b); err != nil || !reflect.DeepEqual(got, o) {
			r.Fatalf("%+v\nbecame %+v (%v)", o, got, err)
		}
	})
}

func TestUnmarshalSnapshot_Malformed(t *testing.T) {
	t.Parallel()
	if _, err := wire.UnmarshalSnapshot([]byte("\xff\xff")); err == nil {
		t.Error("bytes that are no snapshot were read")
	}
	if _, err := wire.UnmarshalSnapshot(nil); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("an empty snapshot: %v", err)
	}
	good := wire.Order(order.Order{Currency: "EUR"})
	for name, spoil := range map[string]func(o *spillwayv1.Order){
		"no state":                func(o *spillwayv1.Order) { o.State = spillwayv1.OrderState_ORDER_STATE_UNSPECIFIED },
		"a state of the future":   func(o *spillwayv1.Order) { o.State = 99 },
		"amounts of two coins":    func(o *spillwayv1.Order) { o.ShippingTotal.CurrencyCode = "USD" },
		"no total":                func(o *spillwayv1.Order) { o.Total = nil },
		"a hundredth of a cent":   func(o *spillwayv1.Order) { o.Total.Nanos = 100_000 },
		"a line without a price":  func(o *spillwayv1.Order) { o.Lines = []*spillwayv1.OrderLine{{Sku: "A", Quantity: 1}} },
		"units and nanos at odds": func(o *spillwayv1.Order) { o.Total.Units, o.Total.Nanos = 1, -10_000_000 },
	} {
		o := wire.Order(order.Order{Currency: "EUR"})
		spoil(o)
		if _, err := wire.FromOrder(o); !errors.Is(err, order.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := wire.FromOrder(good); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

func TestSnapshot_HasNoCardField(t *testing.T) {
	t.Parallel()
	// The message has no field for one (I13).
	fields := (&spillwayv1.OrderSnapshot{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if name := string(fields.Get(i).Name()); strings.Contains(name, "card") {
			t.Errorf("field %s", name)
		}
	}
	inner := (&spillwayv1.Order{}).ProtoReflect().Descriptor().Fields()
	for i := range inner.Len() {
		if name := string(inner.Get(i).Name()); strings.Contains(name, "card") || strings.Contains(name, "cvv") {
			t.Errorf("field %s", name)
		}
	}
}

// TestFromEvent_WithoutCancelCode reads an event of a version that had only the text.
func TestFromEvent_WithoutCancelCode(t *testing.T) {
	t.Parallel()
	want := order.CancelledAsDeclined("lost_card")
	m, err := wire.ToEvent(order.Event{Order: someOrder(t), To: order.Cancelled, At: noon, Reason: want})
	if err != nil || m.GetCancelCode() != spillwayv1.CancelCode_CANCEL_CODE_CARD_DECLINED || m.GetDetail() != "card_declined: lost_card" {
		t.Fatalf("the event is %v (%v)", m, err)
	}
	for range 2 {
		if e, err := wire.FromEvent(m); err != nil || e.Reason != want {
			t.Errorf("the reason is %+v (%v), want %+v", e.Reason, err, want)
		}
		m.CancelCode, m.DeclineCode = 0, ""
	}
}

// TestCancelCode_EachHasItsMessage fails for a code without an entry in the map, which would be sent as UNSPECIFIED.
func TestCancelCode_EachHasItsMessage(t *testing.T) {
	t.Parallel()
	for _, code := range order.CancelCodes() {
		if wire.CancelCode(code) == spillwayv1.CancelCode_CANCEL_CODE_UNSPECIFIED {
			t.Errorf("%s has no value in the API", code)
		}
	}
}
