package server

import (
	"context"
	"fmt"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
)

// checkRequest returns the error of a request that could not be read, or that breaks the validation rules of its message or of checkTexts.
func checkRequest(message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a protobuf message", message)
	}
	if err := markOf(m); err != nil {
		return err
	}
	if place, ok := m.(*spillwayv1.PlaceOrderRequest); ok && isUsualPlaceOrder(place) {
		return nil
	}
	if err := protovalidate.Validate(m); err != nil {
		return err
	}
	return checkTexts(m)
}

// taken is the message whose values are those of orders, which may be older than its rules.
var taken = (&spillwayv1.Address{}).ProtoReflect().Descriptor().FullName()

// withoutTaken leaves out the rules inside of taken.
var withoutTaken = protovalidate.WithFilter(protovalidate.FilterFunc(func(m protoreflect.Message, _ protoreflect.Descriptor) bool {
	return m.Descriptor().FullName() != taken
}))

// checkInternalRequest is checkRequest for calls between processes of the shop. The texts of their orders were checked when they were taken in, perhaps
// by an older version with other rules: such an order is mailed and shipped all the same, and does not fail its batch.
func checkInternalRequest(message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a protobuf message", message)
	}
	if err := markOf(m); err != nil {
		return err
	}
	return protovalidate.Validate(m, withoutTaken)
}

// checked checks each unary request.
func checked(check func(message any) error) func(next connect.UnaryFunc) connect.UnaryFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			if err := check(req.Any()); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}
	}
}

// requests checks each request.
func requests() connect.Interceptor {
	return interceptor{
		unary: checked(checkRequest),
		stream: func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
			return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
				return next(ctx, checkedConn{conn})
			}
		},
	}
}

// checkedConn checks each message that it receives.
type checkedConn struct{ connect.StreamingHandlerConn }

// Receive reads a message.
func (c checkedConn) Receive(message any) error {
	if err := c.StreamingHandlerConn.Receive(message); err != nil {
		return err
	}
	return checkRequest(message)
}
