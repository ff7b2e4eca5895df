package server

import (
	"context"
	"fmt"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

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

// requests checks each request.
func requests() connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				if err := checkRequest(req.Any()); err != nil {
					return nil, err
				}
				return next(ctx, req)
			}
		},
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
