package server

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/spillway/spillway/order"
)

// markField is the number of the unknown field that marks a request that could not be read: the highest number, which no message uses.
const markField = protowire.MaxValidNumber

// mark notes in the message that it could not be read, and why. Codecs mark requests instead of failing, because Connect reads a request
// before the interceptors run and would send a codec's error without a reason. checkRequest makes an error of the mark.
func mark(m proto.Message, err error) {
	proto.Reset(m)
	m.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, markField, protowire.BytesType), err.Error()))
}

// markOf returns the error of a message that is marked.
func markOf(m proto.Message) error {
	unknown := m.ProtoReflect().GetUnknown()
	if len(unknown) == 0 {
		return nil
	}
	number, kind, n := protowire.ConsumeTag(unknown)
	if number != markField || kind != protowire.BytesType {
		return nil // It is a field of a newer client.
	}
	text, n := protowire.ConsumeString(unknown[n:])
	if n < 0 {
		text = errNotProto.Error()
	}
	return order.Refuse(order.ErrInvalid, order.ReasonMalformedBody, "%s", text)
}
