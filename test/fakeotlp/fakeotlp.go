// Package fakeotlp is a collector for tests: it keeps what it receives over OTLP gRPC.
package fakeotlp

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	logs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Collector keeps every request as JSON.
type Collector struct {
	URL    string // http://HOST:PORT, for OTEL_EXPORTER_OTLP_ENDPOINT
	server *grpc.Server

	mu       sync.Mutex
	received strings.Builder
}

// Start starts a collector, which ends with the test.
func Start(t *testing.T) *Collector {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &Collector{URL: "http://" + l.Addr().String(), server: grpc.NewServer()}
	logs.RegisterLogsServiceServer(c.server, logsServer{c: c})
	metrics.RegisterMetricsServiceServer(c.server, metricsServer{c: c})
	traces.RegisterTraceServiceServer(c.server, tracesServer{c: c})
	served := make(chan struct{})
	go func() { defer close(served); _ = c.server.Serve(l) }() // It ends with Stop.
	t.Cleanup(func() { c.Stop(); <-served })
	return c
}

// Stop makes the collector unreachable.
func (c *Collector) Stop() { c.server.Stop() }

// Received returns all requests so far, one a line, as compact JSON.
func (c *Collector) Received() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received.String()
}

func (c *Collector) keep(m proto.Message) error {
	text, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// protojson writes spaces at random.
	c.received.WriteString(strings.ReplaceAll(string(text), `": "`, `":"`) + "\n")
	return nil
}

type logsServer struct {
	logs.UnimplementedLogsServiceServer
	c *Collector
}

// Export keeps log lines.
func (s logsServer) Export(_ context.Context, r *logs.ExportLogsServiceRequest) (*logs.ExportLogsServiceResponse, error) {
	return &logs.ExportLogsServiceResponse{}, s.c.keep(r)
}

type metricsServer struct {
	metrics.UnimplementedMetricsServiceServer
	c *Collector
}

// Export keeps metrics.
func (s metricsServer) Export(_ context.Context, r *metrics.ExportMetricsServiceRequest) (*metrics.ExportMetricsServiceResponse, error) {
	return &metrics.ExportMetricsServiceResponse{}, s.c.keep(r)
}

type tracesServer struct {
	traces.UnimplementedTraceServiceServer
	c *Collector
}

// Export keeps spans.
func (s tracesServer) Export(_ context.Context, r *traces.ExportTraceServiceRequest) (*traces.ExportTraceServiceResponse, error) {
	return &traces.ExportTraceServiceResponse{}, s.c.keep(r)
}
