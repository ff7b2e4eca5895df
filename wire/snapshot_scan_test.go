package wire_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// wantSameSnapshot compares the scanner with package proto: what the scanner accepts must be the same order.
func wantSameSnapshot(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, raw []byte,
) (scanned bool) {
	t.Helper()
	got, ok := wire.ScanSnapshot(raw)
	if !ok {
		return false
	}
	want, err := wire.UnmarshalSnapshotByProto(raw)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("scanned %x as\n%+v; package proto reads\n%+v (%v)", raw, got, want, err)
	}
	return true
}

// drawOrder draws an order as the checkout reserves it, with any text and amounts.
func drawOrder(r *rapid.T) order.Order {
	text := func(name string) string { return rapid.StringN(0, 20, -1).Draw(r, name) }
	at := func(name string) time.Time {
		return time.UnixMicro(rapid.Int64Range(-1, 4_000_000_000_000_000).Draw(r, name)).UTC()
	}
	cents := rapid.Int64Range(-1_000_000, 1_000_000_000)
	o := order.Order{
		ID: order.ID(text("id")), CustomerID: order.CustomerID(text("customer")), State: rapid.SampledFrom([]order.State{order.Pending, order.Paid}).Draw(r, "state"),
		Currency: rapid.SampledFrom([]order.Currency{"EUR", "JPY", "BHD"}).Draw(r, "currency"), Email: text("email"), TrackingID: text("tracking"),
		Address: order.Address{
			Name: text("name"), Street: text("street"), City: text("city"), Region: text("region"), PostalCode: text("code"), CountryCode: text("country"),
		},
		IdempotencyKey: text("key"), Fingerprint: rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(r, "fingerprint"), CreatedAt: at("created"), UpdatedAt: at("updated"),
		ItemsTotal: order.Cents(cents.Draw(r, "items")), ShippingTotal: order.Cents(cents.Draw(r, "shipping")), Total: order.Cents(cents.Draw(r, "total")),
	}
	if rapid.Bool().Draw(r, "expires") {
		o.ExpiresAt = at("expiry")
	}
	for range rapid.IntRange(0, 3).Draw(r, "lines") {
		o.Lines = append(o.Lines, order.Line{
			SKU: order.SKU(text("sku")), Name: text("line"),
			Quantity: rapid.IntRange(0, order.MaxQuantity).Draw(r, "quantity"), UnitPrice: order.Cents(cents.Draw(r, "price")),
		})
	}
	return o
}

// TestScanSnapshot_SameAsProto also with a byte changed, a byte added and a field repeated.
func TestScanSnapshot_SameAsProto(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		o := drawOrder(r)
		raw, err := wire.MarshalSnapshot(o)
		if err != nil {
			r.Skip(err)
		}
		usual := o.IdempotencyKey != "" && len(o.Fingerprint) > 0
		if scanned := wantSameSnapshot(r, raw); scanned != usual {
			r.Fatalf("a snapshot was scanned: %v; want %v", scanned, usual)
		}
		wantSameBytes(r, o)
		i := rapid.IntRange(0, len(raw)-1).Draw(r, "at")
		changed := append([]byte(nil), raw...)
		changed[i] = rapid.Byte().Draw(r, "byte")
		wantSameSnapshot(r, changed)
		wantSameSnapshot(r, raw[:i])
		wantSameSnapshot(r, append(append([]byte(nil), raw...), changed[i:]...))
	})
}

// wantSameBytes compares appendSnapshot with package proto, which reads both as the same message.
func wantSameBytes(r *rapid.T, o order.Order) {
	if rapid.Bool().Draw(r, "not UTF-8") {
		o.Address.Street += "\xff"
	}
	for range rapid.IntRange(0, 30).Draw(r, "more lines") {
		o.Lines = append(o.Lines, order.Line{SKU: "SKU", Name: "name", Quantity: 1, UnitPrice: 1})
	}
	want, err := wire.MarshalSnapshotByProto(o)
	got, ok := wire.AppendSnapshot(&o)
	if ok != (err == nil) {
		r.Fatalf("appendSnapshot made the snapshot: %v; package proto: %v", ok, err)
	}
	if !ok {
		return
	}
	var gotMessage, wantMessage spillwayv1.OrderSnapshot
	if err := errors.Join(proto.Unmarshal(got, &gotMessage), proto.Unmarshal(want, &wantMessage)); err != nil || !proto.Equal(&gotMessage, &wantMessage) {
		r.Fatalf("appendSnapshot made %v; package proto %v (%v)", &gotMessage, &wantMessage, err)
	}
	o.Lines, o.CancelReason.Code = nil, order.CancelLost
	if _, ok := wire.AppendSnapshot(&o); ok {
		r.Fatalf("appendSnapshot made the snapshot of a cancelled order")
	}
}

// TestScanSnapshot_LeavesTheUnusual to package proto: fields that are unknown, repeated, missing, not UTF-8, or have another wire type.
func TestScanSnapshot_LeavesTheUnusual(t *testing.T) {
	o := order.Order{
		ID: "id", State: order.Pending, Currency: "EUR", IdempotencyKey: "k", Fingerprint: []byte{1}, Lines: []order.Line{{SKU: "A", Quantity: 1, UnitPrice: 1}},
		CreatedAt: time.UnixMilli(1).UTC(), UpdatedAt: time.UnixMilli(1).UTC(),
	}
	marshal := func(change func(m *spillwayv1.OrderSnapshot)) []byte {
		t.Helper()
		m := &spillwayv1.OrderSnapshot{Order: wire.Order(o), IdempotencyKey: "k", Fingerprint: []byte{1}}
		change(m)
		raw, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	plain := marshal(func(*spillwayv1.OrderSnapshot) {})
	if !wantSameSnapshot(t, plain) {
		t.Fatal("the usual snapshot is not scanned")
	}
	for name, raw := range map[string][]byte{
		"empty":               {},
		"unknown field":       protowire.AppendVarint(protowire.AppendTag(append([]byte(nil), plain...), 9, protowire.VarintType), 1),
		"high field":          protowire.AppendVarint(protowire.AppendTag(append([]byte(nil), plain...), 1000, protowire.VarintType), 1),
		"repeated":            append(append([]byte(nil), plain...), plain...),
		"other wire type":     protowire.AppendVarint(protowire.AppendTag(append([]byte(nil), plain...), 2, protowire.VarintType), 1),
		"not UTF-8":           []byte(strings.Replace(string(plain), "id", "\xff\xfe", 1)),
		"cancelled":           marshal(func(m *spillwayv1.OrderSnapshot) { m.Order.CancelReason = "why" }),
		"refunded":            marshal(func(m *spillwayv1.OrderSnapshot) { m.Order.RefundedTotal = m.GetOrder().GetTotal() }),
		"without state":       marshal(func(m *spillwayv1.OrderSnapshot) { m.Order.State = 0 }),
		"without total":       marshal(func(m *spillwayv1.OrderSnapshot) { m.Order.Total = nil }),
		"without price":       marshal(func(m *spillwayv1.OrderSnapshot) { m.Order.Lines[0].UnitPrice = nil }),
		"another currency":    marshal(func(m *spillwayv1.OrderSnapshot) { m.Order.Lines[0].UnitPrice.CurrencyCode = "USD" }),
		"finer than a cent":   marshal(func(m *spillwayv1.OrderSnapshot) { m.Order.Total.Nanos = 1 }),
		"without order":       marshal(func(m *spillwayv1.OrderSnapshot) { m.Order = nil }),
		"without key":         marshal(func(m *spillwayv1.OrderSnapshot) { m.IdempotencyKey = "" }),
		"without fingerprint": marshal(func(m *spillwayv1.OrderSnapshot) { m.Fingerprint = nil }),
	} {
		if wantSameSnapshot(t, raw) {
			t.Errorf("%s: the snapshot was scanned", name)
		}
	}
}

// TestScanSnapshot_KnowsTheFields fails when a message of the snapshot gets a field: decide whether scanSnapshot reads it. Until then it leaves
// snapshots with the field to package proto.
func TestScanSnapshot_KnowsTheFields(t *testing.T) {
	for m, want := range map[proto.Message]int{
		&spillwayv1.OrderSnapshot{}: 3, &spillwayv1.Order{}: 19, &spillwayv1.OrderLine{}: 5, &spillwayv1.Money{}: 3, &spillwayv1.Address{}: 6,
	} {
		d := m.ProtoReflect().Descriptor()
		if n := d.Fields().Len(); n != want {
			t.Errorf("%s has %d fields; scanSnapshot was written for %d", d.FullName(), n, want)
		}
	}
}

func FuzzScanSnapshot(f *testing.F) {
	f.Add(goodSnapshot(f))
	for i := range 20 { // Snapshots that are scanned.
		raw, err := wire.MarshalSnapshot(rapid.Custom(drawOrder).Example(i))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) { wantSameSnapshot(t, raw) })
}
