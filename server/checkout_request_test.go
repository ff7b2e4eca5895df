package server

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/wire"
)

// fullRequest has each field set.
func fullRequest(t *testing.T) *spillwayv1.PlaceOrderRequest {
	t.Helper()
	req := placeRequest("key", "4242424242424242")
	req.ExpectedTotal = wire.Money(order.Money{Currency: "EUR", Amount: 1200})
	fields := req.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if !req.ProtoReflect().Has(fields.Get(i)) {
			t.Fatalf("the test's request has no %s: add it, and decide whether it is fingerprinted", fields.Get(i).Name())
		}
	}
	return req
}

// clonedFingerprint is the fingerprint as it was before it shared the request's messages. Records of a day, and rows, have it.
func clonedFingerprint(t *testing.T, req *spillwayv1.PlaceOrderRequest) []byte {
	t.Helper()
	same := proto.CloneOf(req)
	same.Card, same.IdempotencyKey, same.ExpectedTotal = nil, "", nil
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(same)
	if err != nil {
		t.Fatal(err)
	}
	if req.GetCard() == nil {
		b = append(b, payLaterMark...)
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// TestFingerprintOf_EveryField clears one field at a time: only those that are no part of the order leave the fingerprint as it is.
func TestFingerprintOf_EveryField(t *testing.T) {
	full := fullRequest(t)
	want, err := fingerprintOf(full)
	if err != nil {
		t.Fatal(err)
	}
	excluded := map[protoreflect.Name]bool{"idempotency_key": true, "expected_total": true}
	fields := full.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		field, without := fields.Get(i), proto.CloneOf(full)
		without.ProtoReflect().Clear(field)
		before := proto.CloneOf(without)
		got, err := fingerprintOf(without)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(got, want) != excluded[field.Name()] {
			t.Errorf("a request without %s has the same fingerprint: %t", field.Name(), bytes.Equal(got, want))
		}
		if !bytes.Equal(got, clonedFingerprint(t, without)) {
			t.Errorf("the fingerprint of a request without %s is not that of earlier versions", field.Name())
		}
		if !proto.Equal(without, before) {
			t.Errorf("the request without %s was changed", field.Name())
		}
	}
	unknown := proto.CloneOf(full)
	unknown.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 1000, protowire.VarintType), 7))
	if got, err := fingerprintOf(unknown); err != nil || bytes.Equal(got, want) || !bytes.Equal(got, clonedFingerprint(t, unknown)) {
		t.Errorf("a field of a later version is not in the fingerprint: %v", err)
	}
	other := proto.CloneOf(full)
	other.Card.Number = "4000000000000002"
	if got, err := fingerprintOf(other); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the card's number is in the fingerprint: %v", err)
	}
}

func BenchmarkFingerprintOf(b *testing.B) {
	req := placeRequest("key", "4242424242424242")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := fingerprintOf(req); err != nil {
			b.Fatal(err)
		}
	}
}
