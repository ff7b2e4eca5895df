package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// otlpCmd takes telemetry over OTLP gRPC, counts spans and discards everything, in a process of its own. It stands for the collector, which
// would run on another machine and here would compete with the shop for its cores.
type otlpCmd struct {
	Listen string `required:"" help:"Where to respond with the counts, by HTTP."`
	OTLP   string `name:"otlp" required:"" help:"Where to take telemetry."`
}

// otlpCount is the response of the sink.
type otlpCount struct {
	Spans    int64 `json:"spans"`
	Requests int64 `json:"requests"` // of all signals
}

// otlpSink counts what it receives.
type otlpSink struct{ spans, requests atomic.Int64 }

// Run serves until ctx ends.
func (c *otlpCmd) Run(ctx context.Context) error {
	s := &otlpSink{}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.OTLP)
	if err != nil {
		return err
	}
	server := s.server()
	defer server.Stop()
	go func() { _ = server.Serve(l) }() // It ends with Stop.
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /count", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(otlpCount{Spans: s.spans.Load(), Requests: s.requests.Load()}) // The caller notices.
	})
	return serve(ctx, c.Listen, mux)
}

// server accepts the calls of all services, without parsing them into messages.
func (s *otlpSink) server() *grpc.Server {
	return grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		var request []byte
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		s.requests.Add(1)
		if method, _ := grpc.MethodFromServerStream(stream); strings.Contains(method, ".trace.") {
			s.spans.Add(int64(countSpans(request)))
		}
		var response []byte // the empty message, which is success
		return stream.SendMsg(&response)
	}))
}

// spanPath are the numbers of the fields from an ExportTraceServiceRequest to its spans: resource_spans, scope_spans, spans.
var spanPath = []protowire.Number{1, 2, 2}

// countSpans counts the spans of a request.
func countSpans(request []byte) int { return countFields(request, spanPath) }

// countFields counts the fields at the end of the path in a message. The rest of a malformed message counts nothing.
func countFields(message []byte, path []protowire.Number) (n int) {
	if len(path) == 0 {
		return 1
	}
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return n
		}
		message = message[size:]
		if size = protowire.ConsumeFieldValue(number, kind, message); size < 0 {
			return n
		}
		if number == path[0] && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			n += countFields(value, path[1:])
		}
		message = message[size:]
	}
	return n
}

// rawCodec leaves messages as bytes.
type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

// Name is the content subtype.
func (rawCodec) Name() string { return "proto" }

// Marshal returns the bytes.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("%T is no *[]byte", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(*b)}, nil
}

// Unmarshal copies the bytes.
func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is no *[]byte", v)
	}
	*b = data.Materialize()
	return nil
}
