package server

import "connectrpc.com/connect"

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
