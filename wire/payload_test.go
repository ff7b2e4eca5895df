package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func someOrder(t *testing.T) order.Order {
	t.Helper()
	o := order.Order{
		ID: order.NewID(0, noon), CustomerID: "c", Currency: "EUR", Email: "a@example.com", TrackingID: "T", IdempotencyKey: "k",
		Fingerprint: []byte{1, 2}, Lines: []order.Line{{SKU: "A", Name: "a", Quantity: 2, UnitPrice: 150}}, CreatedAt: noon, UpdatedAt: noon,
	}
	if err := o.Price(499); err != nil {
		t.Fatal(err)
	}
	return o
}

func anEvent(t *testing.T) *spillwayv1.OrderEvent {
	t.Helper()
	m, err := wire.ToEvent(order.Event{Order: someOrder(t), To: order.Paid, At: noon, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func marshal(t *testing.T, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestPayload_RoundTrip covers each type, with the order inside of it as JSON.
func TestPayload_RoundTrip(t *testing.T) {
	t.Parallel()
	event := anEvent(t)
	var snapshot spillwayv1.OrderSnapshot
	if err := proto.Unmarshal(event.GetSnapshot(), &snapshot); err != nil {
		t.Fatal(err)
	}
	for typ, m := range map[string]proto.Message{
		wire.TypeEvent: event, wire.TypeBatch: &spillwayv1.OrderEventBatch{Events: []*spillwayv1.OrderEvent{event}}, wire.TypeSnapshot: &snapshot,
		wire.TypeMail: &spillwayv1.SendOrderMailRequest{Kind: spillwayv1.MailKind_MAIL_KIND_SHIPPED, Order: snapshot.GetOrder()},
		wire.TypeOf(&spillwayv1.SendOrderShippedRequest{}): &spillwayv1.SendOrderShippedRequest{Order: snapshot.GetOrder()},
	} {
		raw := marshal(t, m)
		text, err := wire.PayloadJSON(typ, raw)
		if err != nil || !strings.Contains(string(text), `"email":"a@example.com"`) {
			t.Errorf("%s is shown as %s, %v", typ, text, err)
		}
		read, id, err := wire.PayloadFromJSON(typ, text)
		if err != nil || id != event.GetOrderId() || !bytes.Equal(read, raw) {
			t.Errorf("%s is read as %x of order %q, %v\nwant %x of %s", typ, read, id, err, raw, event.GetOrderId())
		}
	}
}

// TestPayload_MalformedSnapshot checks that the rest of the event is shown, and that an order as JSON repairs it.
func TestPayload_MalformedSnapshot(t *testing.T) {
	t.Parallel()
	good := anEvent(t)
	bad := proto.Clone(good).(*spillwayv1.OrderEvent) //nolint:errcheck,forcetypeassert // It is one.
	bad.Snapshot = []byte{0xff}
	text, err := wire.PayloadJSON(wire.TypeEvent, marshal(t, bad))
	if err != nil || !strings.Contains(string(text), `"snapshot":"/w=="`) {
		t.Fatalf("it is shown as %s, %v", text, err)
	}
	mended := strings.Replace(string(text), `"/w=="`, string(wire.ShowSnapshot(good.GetSnapshot())), 1)
	if raw, _, err := wire.PayloadFromJSON(wire.TypeEvent, []byte(mended)); err != nil || !bytes.Equal(raw, marshal(t, good)) {
		t.Errorf("mended it is %x, %v\nwant %x", raw, err, marshal(t, good))
	}
}

func TestPayloadJSON_Malformed(t *testing.T) {
	t.Parallel()
	for typ, raw := range map[string][]byte{
		wire.TypeEvent: {0xff}, wire.TypeBatch: nil, wire.TypeSnapshot: []byte("garbage"), wire.TypeMail: nil, "nothing": nil,
	} {
		if text, err := wire.PayloadJSON(typ, raw); err == nil {
			t.Errorf("%x is shown as the %s %s", raw, typ, text)
		}
	}
}

// orderJSON is an order as JSON.
func orderJSON(t *testing.T) []byte {
	t.Helper()
	out, err := protojson.Marshal(wire.Order(someOrder(t)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPayloadFromJSON_NamesTheError covers edits that are rejected.
func TestPayloadFromJSON_NamesTheError(t *testing.T) {
	t.Parallel()
	event := anEvent(t)
	text, err := wire.PayloadJSON(wire.TypeEvent, marshal(t, event))
	if err != nil {
		t.Fatal(err)
	}
	with := func(name, value string) string {
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		if fields[name] = json.RawMessage(value); value == "" {
			delete(fields, name)
		}
		out, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	for name, c := range map[string]struct{ typ, text, names string }{
		"no JSON":            {wire.TypeEvent, "nonsense", "JSON object"},
		"an unknown field":   {wire.TypeEvent, with("colour", `"red"`), `"colour"`},
		"an unknown kind":    {wire.TypeEvent, with("kind", `"BOUGHT"`), "kind"},
		"no kind":            {wire.TypeEvent, with("kind", ""), "UNSPECIFIED"},
		"no snapshot":        {wire.TypeEvent, with("snapshot", ""), "no snapshot"},
		"a snapshot of text": {wire.TypeEvent, with("snapshot", `"!"`), "snapshot"},
		"an empty snapshot":  {wire.TypeEvent, with("snapshot", `{}`), "order state"},
		"another order":      {wire.TypeEvent, with("orderId", `"other"`), `"other"`},
		"no time":            {wire.TypeEvent, with("time", ""), "no time"},
		"no events":          {wire.TypeBatch, `{"events":[]}`, "no events"},
		"a bad event":        {wire.TypeBatch, `{"events":[` + string(text) + `,{}]}`, "events[1]"},
		"a bare event":       {wire.TypeBatch, string(text), "unknown field"},
		"a mail of nothing":  {wire.TypeMail, `{}`, "order state"},
		"a mail of no kind":  {wire.TypeMail, `{"order":` + string(orderJSON(t)) + `}`, "MAIL_KIND_UNSPECIFIED"},
		"an unknown type":    {"colour", `{}`, `"colour"`},
	} {
		_, _, err := wire.PayloadFromJSON(c.typ, []byte(c.text))
		if !errors.Is(err, order.ErrInvalid) || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s: %v; want ErrInvalid that names %s", name, err, c.names)
		}
	}
}

func TestTraceID_Formats(t *testing.T) {
	t.Parallel()
	const id = "0af7651916cd43dd8448eb211c80319c"
	for traceparent, want := range map[string]string{
		"00-" + id + "-b7ad6b7169203331-01": id, "": "", "x": "", "00-short-b7ad6b7169203331-01": "", "00-" + strings.ToUpper(id) + "-b7ad6b7169203331-01": "",
	} {
		if got := wire.TraceID(traceparent); got != want {
			t.Errorf("%q has the trace id %q; want %q", traceparent, got, want)
		}
	}
}
