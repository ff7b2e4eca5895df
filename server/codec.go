package server

import (
	"errors"
	"fmt"
	"regexp"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/spillway/spillway/server/orderjson"
)

// strictJSON is Connect's JSON codec, except that it refuses fields that it does not know, so that a misspelt one is not
// silently left out; that it writes zero values, so that a client sees "available":"0"; and that it marks the requests that it cannot
// read, with an error that never quotes a value, which may be a card number (I13).
type strictJSON struct{ name string }

// Name is the content subtype.
func (c strictJSON) Name() string { return c.name }

// Marshal writes a message.
func (c strictJSON) Marshal(message any) ([]byte, error) { return c.MarshalAppend(nil, message) }

// MarshalAppend appends a message to dst, a buffer that Connect reuses.
func (strictJSON) MarshalAppend(dst []byte, message any) ([]byte, error) {
	if out, ok := orderjson.Append(dst, message); ok {
		return out, nil
	}
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a protobuf message", message)
	}
	return protojson.MarshalOptions{EmitDefaultValues: true}.MarshalAppend(dst, m)
}

// Unmarshal reads a message, or marks it.
func (strictJSON) Unmarshal(data []byte, message any) error {
	if orderjson.Decode(data, message) {
		return nil
	}
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a protobuf message", message)
	}
	if len(data) == 0 {
		mark(m, errEmptyBody)
	} else if err := protojson.Unmarshal(data, m); err != nil {
		mark(m, withoutValues(err))
	}
	return nil
}

var errEmptyBody = errors.New("the body is empty: send a JSON object, {} at least")

// binaryProto is Connect's codec for the binary form of protobuf, except that it marks the requests that it cannot read.
type binaryProto struct{}

// Name is the content subtype.
func (binaryProto) Name() string { return "proto" }

// Marshal writes a message.
func (c binaryProto) Marshal(message any) ([]byte, error) { return c.MarshalAppend(nil, message) }

// MarshalAppend appends a message to dst, a buffer that Connect reuses.
func (binaryProto) MarshalAppend(dst []byte, message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a protobuf message", message)
	}
	return proto.MarshalOptions{}.MarshalAppend(dst, m)
}

// Unmarshal reads a message, or marks it.
func (binaryProto) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a protobuf message", message)
	}
	if err := proto.Unmarshal(data, m); err != nil {
		mark(m, errNotProto)
	}
	return nil
}

// errNotProto contains nothing of the request, which may be a card number (I13).
var errNotProto = errors.New("this is not the binary form of such a request")

var (
	unknownField = regexp.MustCompile(`\(line \d+:\d+\): unknown field "[A-Za-z_][A-Za-z0-9_]{0,63}"`)
	badField     = regexp.MustCompile(`\(line \d+:\d+\): invalid value for (\w+) field ([A-Za-z_][A-Za-z0-9_]{0,63})`)
	position     = regexp.MustCompile(`\(line \d+:\d+\)`)
)

// withoutValues keeps of protojson's error where it happened and which field it was.
func withoutValues(err error) error {
	text := err.Error()
	for _, keep := range []*regexp.Regexp{unknownField, badField} {
		if found := keep.FindString(text); found != "" {
			return errors.New(found)
		}
	}
	if at := position.FindString(text); at != "" {
		return errors.New(at + ": this is not the JSON of such a request")
	}
	return errors.New("this is not JSON")
}
