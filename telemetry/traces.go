package telemetry

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

// sampledShare is the share of traces that are recorded when none of their spans is a checkout's and no caller has decided.
const sampledShare = 0.1

// checkoutPrefix begins the names of checkout's server spans.
const checkoutPrefix = "spillway.v1.CheckoutService/"

func (t *Telemetry) startTraces(to exporters, about *resource.Resource) {
	if to.traces == nil {
		return
	}
	opts := []trace.TracerProviderOption{trace.WithBatcher(to.traces, batchOptions()...), trace.WithResource(about)}
	if os.Getenv("OTEL_TRACES_SAMPLER") == "" {
		opts = append(opts, trace.WithSampler(NewSampler()))
	}
	provider := trace.NewTracerProvider(opts...)
	otel.SetTracerProvider(provider)
	t.stops = append(t.stops, stopBoth("traces", provider, to.traces))
}

// maxQueuedSpans bounds the spans that wait for their export, unless OTEL_BSP_MAX_QUEUE_SIZE does: some 10 MB. The relay, the writer and the
// shipper end the spans of a whole batch at once, which would not fit into the default of 2,048 together.
const maxQueuedSpans = 8192

func batchOptions() []trace.BatchSpanProcessorOption {
	if os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE") != "" {
		return nil
	}
	return []trace.BatchSpanProcessorOption{trace.WithMaxQueueSize(maxQueuedSpans)}
}

// maxCallerTraces bounds the traces a second of this process that are recorded because their callers set the flag, without checkouts. A caller is a
// stranger, who could have each call recorded, sent and stored; one that records one in ten of 1,000 calls a second is served in full.
const maxCallerTraces = 100

// NewSampler returns the default sampler: every checkout is recorded, whatever its caller has decided, and so is a span that links to a recorded
// one, which is how a batch of orders is recorded with its orders. Of other traces it records one in ten, unless their parents decide; of those
// that callers decided to record, maxCallerTraces a second. OTEL_TRACES_SAMPLER replaces it.
func NewSampler() trace.Sampler {
	return &sampler{others: trace.ParentBased(trace.TraceIDRatioBased(sampledShare))}
}

type sampler struct {
	others trace.Sampler

	mu     sync.Mutex
	second int64 // Unix time
	called int   // traces of callers that were recorded in this second
}

// ShouldSample decides about one span.
func (s *sampler) ShouldSample(p trace.SamplingParameters) trace.SamplingResult {
	if p.Kind == api.SpanKindServer && strings.HasPrefix(p.Name, checkoutPrefix) || slices.ContainsFunc(p.Links, linksToSampled) {
		return trace.AlwaysSample().ShouldSample(p)
	}
	if p.Kind == api.SpanKindServer && isOfCaller(p) && !s.admit() {
		return trace.NeverSample().ShouldSample(p)
	}
	return s.others.ShouldSample(p)
}

// isOfCaller reports whether the span belongs to a trace that its caller records.
func isOfCaller(p trace.SamplingParameters) bool {
	parent := api.SpanContextFromContext(p.ParentContext)
	return parent.IsRemote() && parent.IsSampled()
}

// admit reports whether another trace of a caller may be recorded in this second.
func (s *sampler) admit() bool {
	now := time.Now().Unix()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now != s.second {
		s.second, s.called = now, 0
	}
	s.called++
	return s.called <= maxCallerTraces
}

func linksToSampled(l api.Link) bool { return l.SpanContext.IsSampled() }

// Description names the sampler.
func (s *sampler) Description() string {
	return fmt.Sprintf("CheckoutOrLinks{AlwaysOnSampler,others:%s}", s.others.Description())
}
