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

// The full names of the message types in dead letters.
var (
	TypeBatch    = TypeOf(&spillwayv1.OrderEventBatch{})
	TypeEvent    = TypeOf(&spillwayv1.OrderEvent{})
	TypeSnapshot = TypeOf(&spillwayv1.OrderSnapshot{})
	// TypeCorrupt is the type of a message that is not as it was sent. It is not TypeBatch, so that no replay applies what
	// may look like events.
	TypeCorrupt = "corrupt/" + TypeBatch
)

// TypeOf returns the full name of a message.
func TypeOf(m proto.Message) string { return string(m.ProtoReflect().Descriptor().FullName()) }

// payload converts one type of payload to JSON and back. An OrderSnapshot inside of it is shown as a JSON object
// instead of bytes, so that an operator can edit it.
type payload struct {
	show func(raw []byte) (any, error)
	read func(text []byte) ([]byte, error)
	// check fails if the payload cannot be applied, and returns the id of its order if it is about one.
	check func(raw []byte) (orderID string, err error)
}

var snapshotPayload = plain(func() proto.Message { return &spillwayv1.OrderSnapshot{} })

var payloads = map[string]payload{
	TypeBatch:    {showBatch, readBatch, checkBatch},
	TypeEvent:    {showEvent, readEvent, checkEvent},
	TypeSnapshot: snapshotPayload,
	TypeMail:     mailPayload(),
}

// payloadOf returns how payloads of the type are shown and read.
func payloadOf(typ string) (payload, bool) {
	if older, ok := olderMails[typ]; ok {
		return plain(older.empty), true
	}
	p, ok := payloads[typ]
	return p, ok
}

// PayloadJSON formats a payload as JSON. It fails for an unknown type and for bytes that are not of the type.
func PayloadJSON(typ string, raw []byte) (json.RawMessage, error) {
	p, ok := payloadOf(typ)
	if !ok {
		return nil, fmt.Errorf("a payload of type %q is unknown: %w", typ, order.ErrInvalid)
	}
	shown, err := p.show(raw)
	if err != nil {
		return nil, err
	}
	return json.Marshal(shown)
}

// PayloadFromJSON parses the JSON of PayloadJSON, which may have been edited. It fails with order.ErrInvalid, with the
// position of the error, unless every event and order in it can be applied. orderID is the id of the order, if the
// payload is about one.
func PayloadFromJSON(typ string, text []byte) (raw []byte, orderID string, err error) {
	p, ok := payloadOf(typ)
	if !ok {
		return nil, "", fmt.Errorf("a payload of type %q is unknown: %w", typ, order.ErrInvalid)
	}
	if raw, err = p.read(text); err == nil {
		orderID, err = p.check(raw)
	}
	if err != nil {
		// Protojson inserts random spaces on purpose, some of them non-breaking.
		text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
		return nil, "", fmt.Errorf("this is no %s that can be applied: %s: %w", typ, text, order.ErrInvalid)
	}
	return raw, orderID, nil
}

// plain is the payload of a message with an order as a message.
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

// carriesOrder is implemented by all plain messages.
type carriesOrder interface{ GetOrder() *spillwayv1.Order }

// orderOf returns the order in a plain message, or nil.
func orderOf(m proto.Message) *spillwayv1.Order {
	if c, ok := m.(carriesOrder); ok {
		return c.GetOrder()
	}
	return nil
}

// hasOrder reports whether a plain message contains an order.
func hasOrder(m proto.Message) bool { return orderOf(m) != nil }

// checkOrder fails if the order cannot be applied, and returns its id.
func checkOrder(m *spillwayv1.Order) (string, error) {
	o, err := FromOrder(m)
	if err != nil {
		return "", err
	}
	_, err = order.ParseID(string(o.ID))
	return string(o.ID), err
}

// protoJSON formats a message as JSON without random spaces.
func protoJSON(m proto.Message) (json.RawMessage, error) {
	raw, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	// Protojson inserts random spaces on purpose.
	var out bytes.Buffer
	err = json.Compact(&out, raw)
	return out.Bytes(), err
}
