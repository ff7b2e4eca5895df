package server

import "connectrpc.com/connect"

// interceptor does the same for calls that answer once and for streams. This server is no client of itself.
type interceptor struct {
	unary  func(next connect.UnaryFunc) connect.UnaryFunc
	stream func(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc
}

// WrapUnary wraps what answers once.
func (i interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc { return i.unary(next) }

// WrapStreamingHandler wraps a stream.
func (i interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return i.stream(next)
}

// WrapStreamingClient leaves clients alone.
func (interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}
