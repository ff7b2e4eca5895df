package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/order"
)

// The types of the payloads of dead letters that are messages: their full names.
var (
	TypeBatch            = TypeOf(&spillwayv1.OrderEventBatch{})
	TypeEvent            = TypeOf(&spillwayv1.OrderEvent{})
	TypeSnapshot         = TypeOf(&spillwayv1.OrderSnapshot{})
	TypeMailConfirmation = TypeOf(&spillwayv1.SendOrderConfirmationRequest{})
	TypeMailShipped      = TypeOf(&spillwayv1.SendOrderShippedRequest{})
	TypeMailCancelled    = TypeOf(&spillwayv1.SendOrderCancelledRequest{})
	TypeMailRefunded     = TypeOf(&spillwayv1.SendOrderRefundedRequest{})
)

// TypeOf is the full name of a message.
func TypeOf(m proto.Message) string { return string(m.ProtoReflect().Descriptor().FullName()) }

// payload is how one type is shown and read. An OrderSnapshot inside of it is shown as what it says, not as the bytes that it is
// elsewhere, so that an operator can mend it.
type payload struct {
	show func(raw []byte) (any, error)
	read func(text []byte) ([]byte, error)
	// check says what cannot be applied, and which order it concerns if it is one.
	check func(raw []byte) (orderID string, err error)
}

var snapshotPayload = plain(func() proto.Message { return &spillwayv1.OrderSnapshot{} })

var payloads = map[string]payload{
	TypeBatch:            {showBatch, readBatch, checkBatch},
	TypeEvent:            {showEvent, readEvent, checkEvent},
	TypeSnapshot:         snapshotPayload,
	TypeMailConfirmation: plain(func() proto.Message { return &spillwayv1.SendOrderConfirmationRequest{} }),
	TypeMailShipped:      plain(func() proto.Message { return &spillwayv1.SendOrderShippedRequest{} }),
	TypeMailCancelled:    plain(func() proto.Message { return &spillwayv1.SendOrderCancelledRequest{} }),
	TypeMailRefunded:     plain(func() proto.Message { return &spillwayv1.SendOrderRefundedRequest{} }),
}

// PayloadJSON shows a payload. It fails for a type that is not known and for what is not of its type.
func PayloadJSON(typ string, raw []byte) (json.RawMessage, error) {
	p, ok := payloads[typ]
	if !ok {
		return nil, fmt.Errorf("a payload of type %q is unknown: %w", typ, order.ErrInvalid)
	}
	shown, err := p.show(raw)
	if err != nil {
		return nil, err
	}
	return json.Marshal(shown)
}

// PayloadFromJSON reads what PayloadJSON showed, perhaps edited since. It fails with order.ErrInvalid, naming what is wrong, unless
// every event and order in it can be applied. orderID is the order that it concerns, if it is one.
func PayloadFromJSON(typ string, text []byte) (raw []byte, orderID string, err error) {
	p, ok := payloads[typ]
	if !ok {
		return nil, "", fmt.Errorf("a payload of type %q is unknown: %w", typ, order.ErrInvalid)
	}
	if raw, err = p.read(text); err == nil {
		orderID, err = p.check(raw)
	}
	if err != nil {
		// Protojson's spaces are random on purpose, and some of them are no spaces.
		text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
		return nil, "", fmt.Errorf("this is no %s that can be applied: %s: %w", typ, text, order.ErrInvalid)
	}
	return raw, orderID, nil
}

// plain is a message that carries its order as a message.
func plain(empty func() proto.Message) payload {
	return payload{
		show: func(raw []byte) (any, error) {
			m := empty()
			if err := proto.Unmarshal(raw, m); err != nil {
				return nil, err
			}
			if !hasOrder(m) {
				return nil, errors.New("it carries no order")
			}
			return protoJSON(m)
		},
		read: func(text []byte) ([]byte, error) {
			m := empty()
			if err := protojson.Unmarshal(text, m); err != nil {
				return nil, err
			}
			return proto.Marshal(m)
		},
		check: func(raw []byte) (string, error) {
			m := empty()
			if err := proto.Unmarshal(raw, m); err != nil {
				return "", err
			}
			return checkOrder(orderOf(m))
		},
	}
}

// carriesOrder is what all plain messages do.
type carriesOrder interface{ GetOrder() *spillwayv1.Order }

func orderOf(m proto.Message) *spillwayv1.Order {
	if c, ok := m.(carriesOrder); ok {
		return c.GetOrder()
	}
	return nil
}

func hasOrder(m proto.Message) bool { return orderOf(m) != nil }

func checkOrder(m *spillwayv1.Order) (string, error) {
	o, err := FromOrder(m)
	if err != nil {
		return "", err
	}
	_, err = order.ParseID(string(o.ID))
	return string(o.ID), err
}

func protoJSON(m proto.Message) (json.RawMessage, error) {
	raw, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	// Protojson's spaces are random on purpose.
	var out bytes.Buffer
	err = json.Compact(&out, raw)
	return out.Bytes(), err
}
