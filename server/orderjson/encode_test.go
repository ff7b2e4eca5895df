package orderjson

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// usualOrder is an order with every field that an order that was just placed has.
func usualOrder() *spillwayv1.Order {
	money := &spillwayv1.Money{CurrencyCode: "EUR", Units: 1, Nanos: 990_000_000}
	return &spillwayv1.Order{
		Id: "01JDABCDEFGHJKMNPQRSTVWXYZ", CustomerId: "guest_abc", State: spillwayv1.OrderState_ORDER_STATE_PAID,
		Lines:      []*spillwayv1.OrderLine{{Sku: "A-1", Name: "Bench product", Quantity: 2, UnitPrice: money, Total: money}, {Sku: "B", Name: "Tasse für Öl"}},
		ItemsTotal: money, ShippingTotal: money, Total: money, Email: "a@example.com",
		ShippingAddress: &spillwayv1.Address{Name: "Jörg", Street: "S 1", City: "Berlin", PostalCode: "10115", CountryCode: "DE"},
		TrackingId:      "SPW01JDABCDEFGHJKMNPQRSTVWXYZ",
		CreateTime:      &timestamppb.Timestamp{Seconds: 1_800_000_000, Nanos: 123_456_000},
		UpdateTime:      &timestamppb.Timestamp{Seconds: 1_800_000_000, Nanos: 120_000_000},
		ExpireTime:      &timestamppb.Timestamp{Seconds: 1_800_000_900},
	}
}

// responses returns each message that Append handles, with the order.
func responses(o *spillwayv1.Order) []proto.Message {
	return []proto.Message{
		&spillwayv1.PlaceOrderResponse{Order: o}, &spillwayv1.PayOrderResponse{Order: o}, &spillwayv1.CancelOrderResponse{Order: o},
	}
}

// appendsAsProtoJSON reports whether Append handles the message. It fails if protojson's JSON, without white space, is not the same, byte by
// byte.
func appendsAsProtoJSON(t rapid.TB, m proto.Message) bool {
	const prefix = "before "
	out, ok := Append([]byte(prefix), m)
	if !ok {
		return false
	}
	want, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		t.Errorf("Append handles %v; protojson: %v", m, err)
		return true
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, want); err != nil {
		t.Fatalf("%s: %v", want, err)
	}
	if string(out) != prefix+compact.String() {
		t.Errorf("Append:\n%s\nprotojson:\n%s", out, &compact)
	}
	back := m.ProtoReflect().New().Interface()
	if err := protojson.Unmarshal(out[len(prefix):], back); err != nil || !proto.Equal(m, back) {
		t.Errorf("a client reads %v, %v; want %v", back, err, m)
	}
	return true
}

func TestAppend_HandlesUsualOrders(t *testing.T) {
	bare, nilLine := &spillwayv1.Order{}, &spillwayv1.Order{Lines: []*spillwayv1.OrderLine{nil}}
	refunded := usualOrder()
	refunded.State, refunded.ExpireTime = spillwayv1.OrderState_ORDER_STATE_CANCELLED, nil
	refunded.CancelCode, refunded.CancelReason = spillwayv1.CancelCode_CANCEL_CODE_DUPLICATE, "the key <k> belongs to another order"
	refunded.DuplicateOf, refunded.DeclineCode = "O1", "lost_card"
	refunded.RefundedTotal, refunded.RefundPendingTotal = refunded.GetTotal(), &spillwayv1.Money{CurrencyCode: "EUR", Units: -5, Nanos: -1}
	for name, o := range map[string]*spillwayv1.Order{"usual": usualOrder(), "refunded": refunded, "empty": bare, "a nil line": nilLine} {
		for _, m := range responses(o) {
			if !appendsAsProtoJSON(t, m) {
				t.Errorf("%s: %T is not handled", name, m)
			}
		}
	}
}

func TestAppend_Timestamps(t *testing.T) {
	const first, last = -62135596800, 253402300799 // The years 1 to 9999.
	for _, c := range []struct {
		seconds int64
		nanos   int32
		handled bool
	}{
		{0, 0, true},
		{0, 1, true},
		{1, 999_999_999, true},
		{-1, 500_000_000, true},
		{1_800_000_000, 100_000_000, true},
		{1_800_000_000, 120_000_000, true},
		{1_800_000_000, 123_000_000, true},
		{1_800_000_000, 123_400_000, true},
		{1_800_000_000, 123_456_000, true},
		{1_800_000_000, 1_000, true},
		{1_800_000_000, 123_456_700, true},
		{first, 0, true},
		{last, 999_999_999, true},
		{first - 1, 0, false},
		{last + 1, 0, false},
		{0, -1, false},
		{0, 1_000_000_000, false},
		{math.MaxInt64, 0, false},
	} {
		m := &spillwayv1.PayOrderResponse{Order: &spillwayv1.Order{CreateTime: &timestamppb.Timestamp{Seconds: c.seconds, Nanos: c.nanos}}}
		if got := appendsAsProtoJSON(t, m); got != c.handled {
			t.Errorf("%d s %d ns is handled: %t; want %t", c.seconds, c.nanos, got, c.handled)
		}
	}
}

// TestAppend_HandlesWholeMessages: a message with more than its order would lose the rest.
func TestAppend_HandlesWholeMessages(t *testing.T) {
	for _, m := range responses(usualOrder()) {
		if n := m.ProtoReflect().Descriptor().Fields().Len(); n != 1 {
			t.Errorf("%T has %d fields, want the order alone", m, n)
		}
	}
	paid := &spillwayv1.GetOrderResponse{Order: usualOrder(), Payment: &spillwayv1.OrderPayment{Attempts: 1}}
	if out, ok := Append(nil, paid); ok {
		t.Errorf("GetOrder's response with a payment is %s", out)
	}
}

func TestAppend_LeavesTheRestToProtoJSON(t *testing.T) {
	for name, m := range map[string]proto.Message{
		"another message":   &spillwayv1.ListOrdersResponse{},
		"no order":          &spillwayv1.PlaceOrderResponse{},
		"quotes":            &spillwayv1.PlaceOrderResponse{Order: &spillwayv1.Order{Email: `"`}},
		"backslash":         &spillwayv1.PlaceOrderResponse{Order: &spillwayv1.Order{Email: `\`}},
		"control character": &spillwayv1.PlaceOrderResponse{Order: &spillwayv1.Order{Lines: []*spillwayv1.OrderLine{{Name: "a\nb"}}}},
		"not UTF-8":         &spillwayv1.PlaceOrderResponse{Order: &spillwayv1.Order{Email: "\xff"}},
		"unknown state":     &spillwayv1.PlaceOrderResponse{Order: &spillwayv1.Order{State: 99}},
		"a nil response":    (*spillwayv1.PlaceOrderResponse)(nil),
		"unknown code":      &spillwayv1.PlaceOrderResponse{Order: &spillwayv1.Order{CancelCode: -1}},
	} {
		if appendsAsProtoJSON(t, m) {
			t.Errorf("%s: handled", name)
		}
	}
}

// TestAppend_EveryField fills the fields that the schema has, so that one that is added to it and not to Append is found.
func TestAppend_EveryField(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		o := &spillwayv1.Order{}
		fill(r, o.ProtoReflect())
		for _, m := range responses(o) {
			if !appendsAsProtoJSON(r, m) {
				r.Errorf("not handled: %v", m)
			}
		}
	})
}

// fill gives each field of the message a value that Append handles; fields with presence may have none.
func fill(r *rapid.T, m protoreflect.Message) {
	if stamp, ok := m.Interface().(*timestamppb.Timestamp); ok {
		unit := rapid.SampledFrom([]int32{1, 1000, 1_000_000, 1_000_000_000}).Draw(r, "unit")
		stamp.Seconds = rapid.Int64Range(-62135596800, 253402300799).Draw(r, "seconds")
		stamp.Nanos = rapid.Int32Range(0, 999_999_999).Draw(r, "nanos") / unit * unit
		return
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		switch fd := fields.Get(i); {
		case fd.IsList():
			for list := m.Mutable(fd).List(); rapid.Bool().Draw(r, "more"); {
				fill(r, list.AppendMutable().Message())
			}
		case fd.HasPresence():
			if rapid.Bool().Draw(r, "present") {
				fill(r, m.Mutable(fd).Message())
			}
		default:
			m.Set(fd, scalar(r, fd))
		}
	}
}

// scalar is a value of a field without presence.
func scalar(r *rapid.T, fd protoreflect.FieldDescriptor) protoreflect.Value {
	name := string(fd.Name())
	switch fd.Kind() { //nolint:exhaustive // Orders have no others.
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(rapid.StringMatching(`([ !#-\[\]-~]|[À-ž]|[€-�]|😀|<|&|'|/){0,8}`).Draw(r, name))
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(rapid.Int32().Draw(r, name))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(rapid.Int64().Draw(r, name))
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(rapid.IntRange(0, values.Len()-1).Draw(r, name)).Number())
	}
	r.Fatalf("a field of kind %s: extend Append and this test", fd.Kind())
	return protoreflect.Value{}
}

// FuzzAppend reads responses from their binary form.
func FuzzAppend(f *testing.F) {
	cancelled := usualOrder()
	cancelled.CancelCode, cancelled.CancelReason, cancelled.ExpireTime = 9, "by \"us\"", nil
	for _, o := range []*spillwayv1.Order{usualOrder(), cancelled, {}} {
		raw, err := proto.Marshal(&spillwayv1.PlaceOrderResponse{Order: o})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := &spillwayv1.PlaceOrderResponse{}
		if (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, m) == nil {
			appendsAsProtoJSON(t, m)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	m := &spillwayv1.PlaceOrderResponse{Order: usualOrder()}
	buf := make([]byte, 0, 4096)
	b.Run("orderjson", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := Append(buf, m); !ok {
				b.Fatal("not handled")
			}
		}
	})
	b.Run("protojson", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := (protojson.MarshalOptions{EmitDefaultValues: true}).MarshalAppend(buf, m); err != nil {
				b.Fatal(err)
			}
		}
	})
}
