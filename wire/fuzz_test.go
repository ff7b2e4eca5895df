package wire_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// goodSnapshot is the snapshot of a valid order, as a seed.
func goodSnapshot(f *testing.F) []byte {
	f.Helper()
	o := order.Order{ID: order.NewID(0, time.UnixMilli(1_700_000_000_000)), Currency: "EUR", Lines: []order.Line{{SKU: "MUG", Quantity: 2, UnitPrice: 1299}}}
	if err := o.Price(499); err != nil {
		f.Fatal(err)
	}
	raw, err := wire.MarshalSnapshot(o)
	if err != nil {
		f.Fatal(err)
	}
	return raw
}

// FuzzUnmarshalSnapshot checks that an accepted snapshot is an order that survives the next round trip.
func FuzzUnmarshalSnapshot(f *testing.F) {
	f.Add(goodSnapshot(f))
	f.Add([]byte("\xff\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		o, err := wire.UnmarshalSnapshot(raw)
		if err != nil {
			return
		}
		again, err := wire.MarshalSnapshot(o)
		if err != nil {
			t.Fatalf("marshal %+v: %v", o, err)
		}
		if got, err := wire.UnmarshalSnapshot(again); err != nil || !reflect.DeepEqual(got, o) {
			t.Errorf("%+v\nbecame %+v (%v)", o, got, err)
		}
	})
}

// FuzzUnmarshalBatch checks that each event of an accepted batch is rejected, or converts to a message with the same content.
func FuzzUnmarshalBatch(f *testing.F) {
	batch := &spillwayv1.OrderEventBatch{Events: []*spillwayv1.OrderEvent{{Kind: spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RESERVED, Snapshot: goodSnapshot(f)}}}
	raw, err := proto.Marshal(batch)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		batch, err := wire.UnmarshalBatch(body)
		if err != nil {
			return
		}
		for _, m := range batch.GetEvents() {
			e, err := wire.FromEvent(m)
			if err != nil {
				continue
			}
			again, err := wire.ToEvent(e)
			if err != nil {
				t.Fatalf("event %+v: %v", e, err)
			}
			if got, err := wire.FromEvent(again); err != nil || !reflect.DeepEqual(got, e) {
				t.Errorf("%+v\nbecame %+v (%v)", e, got, err)
			}
		}
	})
}

// FuzzPayloadFromJSON checks that accepted JSON gives a payload that is shown and read as the same bytes.
func FuzzPayloadFromJSON(f *testing.F) {
	typ := wire.TypeOf(&spillwayv1.OrderEvent{})
	event := &spillwayv1.OrderEvent{Kind: spillwayv1.OrderEventKind_ORDER_EVENT_KIND_RESERVED, Snapshot: goodSnapshot(f)}
	raw, err := proto.Marshal(event)
	if err != nil {
		f.Fatal(err)
	}
	text, err := wire.PayloadJSON(typ, raw)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(text))
	f.Add([]byte(`{"snapshot":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		raw, id, err := wire.PayloadFromJSON(typ, text)
		if err != nil {
			if !errors.Is(err, order.ErrInvalid) {
				t.Errorf("%v is not ErrInvalid", err)
			}
			return
		}
		shown, err := wire.PayloadJSON(typ, raw)
		if err != nil {
			t.Fatalf("show %x: %v", raw, err)
		}
		if again, sameID, err := wire.PayloadFromJSON(typ, shown); err != nil || sameID != id || !bytes.Equal(again, raw) {
			t.Errorf("%s\nbecame %x of order %q, %v; want %x of %q", shown, again, sameID, err, raw, id)
		}
	})
}
