package server

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
)

// interceptor wraps unary calls, and streams unless stream is nil. It does not wrap clients.
type interceptor struct {
	unary  func(next connect.UnaryFunc) connect.UnaryFunc
	stream func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc
}

// WrapUnary wraps a unary call.
func (i interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc { return i.unary(next) }

// WrapStreamingHandler wraps a stream.
func (i interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	if i.stream == nil {
		return next
	}
	return i.stream(next)
}

// WrapStreamingClient leaves clients alone.
func (interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// begun is what is known of a call before its first message.
type begun struct {
	procedure string
	peer      connect.Peer
	header    http.Header
}

// before runs a step before each unary call and each stream, which get the context that it returns. An error of it is the response.
func before(step func(ctx context.Context, b begun) (context.Context, error)) connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				ctx, err := step(ctx, begun{req.Spec().Procedure, req.Peer(), req.Header()})
				if err != nil {
					return nil, err
				}
				return next(ctx, req)
			}
		},
		stream: func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
			return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
				ctx, err := step(ctx, begun{conn.Spec().Procedure, conn.Peer(), conn.RequestHeader()})
				if err != nil {
					return err
				}
				return next(ctx, conn)
			}
		},
	}
}
