package wire_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// benchEvents are the events of one message of the relay.
const benchEvents = 250

// benchBatch is the body of a message of paid orders of one line.
func benchBatch(b *testing.B) []byte {
	b.Helper()
	at := time.UnixMilli(1_800_000_000_000).UTC()
	batch := &spillwayv1.OrderEventBatch{}
	for range benchEvents {
		o := order.Order{
			ID: order.NewID(0, at), CustomerID: "customer-1234", Currency: "EUR", Email: "someone@example.com", TrackingID: "SW-01234567",
			Lines:          []order.Line{{SKU: "MUG-WHITE", Name: "White mug", Quantity: 2, UnitPrice: 1299}},
			Address:        order.Address{Name: "A. Person", Street: "1 Some Street", City: "City", PostalCode: "12345", CountryCode: "DE"},
			IdempotencyKey: "0f8fad5b-d9cb-469f-a165-70867728950e", Fingerprint: make([]byte, 32), CreatedAt: at, UpdatedAt: at,
		}
		if err := o.Price(499); err != nil {
			b.Fatal(err)
		}
		e, err := wire.ToEvent(order.Event{Order: o, To: order.Paid, At: at, Trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
		if err != nil {
			b.Fatal(err)
		}
		batch.Events = append(batch.Events, e)
	}
	body, err := proto.Marshal(batch)
	if err != nil {
		b.Fatal(err)
	}
	return body
}

// BenchmarkReadMessage reads a message as each consumer of the topic does; one operation is one event.
func BenchmarkReadMessage(b *testing.B) {
	body := benchBatch(b)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += benchEvents {
		batch, err := wire.UnmarshalBatch(body)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range batch.GetEvents() {
			if _, err := wire.FromEvent(e); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkMarshalSnapshot marshals an order as it is reserved.
func BenchmarkMarshalSnapshot(b *testing.B) {
	batch, err := wire.UnmarshalBatch(benchBatch(b))
	if err != nil {
		b.Fatal(err)
	}
	e, err := wire.FromEvent(batch.GetEvents()[0])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := wire.MarshalSnapshot(e.Order); err != nil {
			b.Fatal(err)
		}
	}
}
