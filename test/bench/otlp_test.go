package main

import (
	"context"
	"net"
	"testing"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/trace"
)

// TestOTLPSink_CountsSpans sends spans with the exporter of the shop.
func TestOTLPSink_CountsSpans(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &otlpSink{}
	server := s.server()
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-served })
	exporter, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpoint(l.Addr().String()), otlptracegrpc.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithSampler(trace.AlwaysSample()))
	const spans = 700 // more than one request holds
	for range spans {
		_, span := provider.Tracer("test").Start(t.Context(), "work")
		span.AddEvent("event")
		span.End()
	}
	if err := provider.Shutdown(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if n, requests := s.spans.Load(), s.requests.Load(); n != spans || requests < 2 {
		t.Errorf("%d spans in %d requests; want %d in at least 2", n, requests, spans)
	}
}

func TestCountSpans_MalformedRequest(t *testing.T) {
	t.Parallel()
	for _, request := range []string{"", "\xff", "\x0a\x05\x12", "\x0a\x02\x12\xff"} {
		if n := countSpans([]byte(request)); n != 0 {
			t.Errorf("%d spans in %q", n, request)
		}
	}
}
