package main

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"unicode"

	"google.golang.org/protobuf/types/known/timestamppb"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// evilText would clear a terminal, change its title, turn the direction of a line, or begin another one.
const evilText = "a\x1b]0;title\x07b\u009b2Jc\u202ed\re\nf\x7fg\u2028h"

// TestPrint_ControlCharactersDoNotReachTheTerminal: whatever a row of an older version, a message of the queue, or the shop at --url holds.
func TestPrint_ControlCharactersDoNotReachTheTerminal(t *testing.T) {
	money, now := &spillwayv1.Money{CurrencyCode: "EUR", Units: 1}, timestamppb.Now()
	o := &spillwayv1.Order{
		Id: "o", CustomerId: "c", Email: "e", CancelReason: "r", TrackingId: "t", Total: money, CreateTime: now,
		ShippingAddress: &spillwayv1.Address{Name: "n", Street: "s", City: "c", PostalCode: "p", CountryCode: "DE"},
		Lines:           []*spillwayv1.OrderLine{{Sku: "s", Name: "n", UnitPrice: money}},
	}
	l := &spillwayv1.DeadLetter{
		Source: "s", OrderId: "o", Reason: "r", TraceId: "t", PayloadType: "p", CreateTime: now,
		History: []*spillwayv1.DeadLetterAction{{Actor: "a", Action: "w", Detail: "d", Time: now}},
	}
	refund := &spillwayv1.RefundOrderResponse{Order: &spillwayv1.Order{Id: "o"}, Refund: &spillwayv1.Refund{Id: "r", Amount: money}}
	poison(o.ProtoReflect(), evilText)
	poison(l.ProtoReflect(), evilText)
	poison(refund.ProtoReflect(), evilText)
	payload, err := json.Marshal(map[string]string{"name": evilText})
	if err != nil {
		t.Fatal(err)
	}
	l.PayloadJson = string(payload)
	for name, write := range map[string]func(io.Writer) error{
		"orders list":       func(w io.Writer) error { return orderTable(w, []*spillwayv1.Order{o}, false) },
		"orders show":       func(w io.Writer) error { return orderPage(w, o) },
		"orders refund":     func(w io.Writer) error { return refundPage(w, refund) },
		"dead-letters list": func(w io.Writer) error { return deadLetterTable(w, []*spillwayv1.DeadLetter{l}, false) },
		"dead-letters show": func(w io.Writer) error { return deadLetterDetails(w, l) },
		"a message as JSON": func(w io.Writer) error { return printMessage(w, l) },
		"a result as JSON":  func(w io.Writer) error { return printJSON(w, map[string]string{"found": evilText}) },
	} {
		var out bytes.Buffer
		if err := write(&out); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, r := range out.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Errorf("%s prints %q: %q", name, r, out.String())
				break
			}
		}
	}
}
