package workers_test

import (
	"context"
	"slices"
	"strconv"
	"testing"

	"go.opentelemetry.io/otel"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/queue"
	"github.com/spillway/spillway/stock"
	"github.com/spillway/spillway/telemetry"
	"github.com/spillway/spillway/tracing"
	"github.com/spillway/spillway/workers"
)

// recordSpans makes an exporter in memory the process's, with the default sampler, until the test ends. Such a test is not parallel to others.
func recordSpans(t *testing.T) *tracetest.InMemoryExporter {
	t.Helper()
	out := tracetest.NewInMemoryExporter()
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSyncer(out), sdk.WithSampler(telemetry.NewSampler())))
	t.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })
	return out
}

// spansNamed returns the spans of the name.
func spansNamed(spans tracetest.SpanStubs, name string) (out tracetest.SpanStubs) {
	for _, s := range spans {
		if s.Name == name {
			out = append(out, s)
		}
	}
	return out
}

const (
	tracedParent   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	sampledTrace   = tracedParent + " vendor=1"
	unsampledTrace = "00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-00"
)

// TestWorkers_TraceFromJournalToRow: a trace context travels from the journal through the queue to the order's row. Entries of earlier versions have
// none, or a traceparent alone, and are read as before; one that cannot be read costs the order nothing. Batches link to the one order that is
// sampled, which gets a span of each step.
func TestWorkers_TraceFromJournalToRow(t *testing.T) {
	spans := recordSpans(t)
	db := openSQLite(t)
	s := openShop(t, db)
	b := queue.Traced(openQueue(t, s))
	epoch, err := s.epochs.Current()
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[order.ID]string)
	for text, row := range map[string]string{sampledTrace: sampledTrace, unsampledTrace: unsampledTrace, tracedParent[:54]: "", "\x00garbage": ""} {
		o := freshOrder()
		s.add(t, epoch.Number, map[string]string{
			"kind": string(journal.Reserved), "order": string(o.ID), "deltas": "A:-2,B:-1", "snapshot": string(snapshot(o)), "trace": text,
			"time": strconv.FormatInt(at.UnixMilli(), 10),
		})
		want[o.ID] = row
	}
	old := freshOrder()
	s.addReserved(t, epoch.Number, old, "A:-2,B:-1", snapshot(old))
	want[old.ID] = ""
	s.flush(t)
	producer, err := b.Producer()
	if err != nil {
		t.Fatal(err)
	}
	relayCfg := workers.DefaultRelayConfig("orders", "relay-1")
	relayCfg.Block = briefly
	ranTo(t, workers.NewOrderRelay(relayCfg, s.journal, s.sql, s.snapshots(), producer, s.dead, quiet).RunOnce, len(want))
	ranTo(
		t,
		workers.NewOrderWriter(workers.DefaultWriterConfig(), consumer(t, b, "orders"), s.orders, s.dead, s.Stock, &fakeCanceller{}, quiet).RunOnce,
		len(want),
	)
	for id, text := range want {
		if got, err := s.orders.Get(t.Context(), id); err != nil || got.Trace != text {
			t.Errorf("the row of %s has the trace %q, %v; want %q", id, got.Trace, err, text)
		}
		if got, err := s.orders.ForMails(t.Context(), []order.ID{id}); err != nil || got[id].Trace != text {
			t.Errorf("the order of a mail has the trace %q, %v; want %q", got[id].Trace, err, text)
		}
	}
	got := spans.GetSpans()
	for _, batch := range []string{"flush batch", "relay batch", "write batch"} {
		found := spansNamed(got, batch)
		if len(found) != 1 || len(found[0].Links) != 1 || found[0].Links[0].SpanContext.SpanID().String() != "b7ad6b7169203331" {
			t.Errorf("%s: %+v; want one with a link to the sampled order", batch, found)
		}
	}
	for _, step := range []string{"relay", "write"} {
		if found := spansNamed(got, step); len(found) != 1 || found[0].SpanContext.TraceState().String() != "vendor=1" {
			t.Errorf("%s: %+v; want that of the sampled order", step, found)
		}
	}
}

// TestShipRescuer_TraceFromTheRow: an order that waited in SQL is shipped in the trace of its request.
func TestShipRescuer_TraceFromTheRow(t *testing.T) {
	spans := recordSpans(t)
	s := openShop(t, openSQLite(t))
	o := freshOrder()
	if _, err := s.orders.Apply(t.Context(), []order.Event{{Order: o, To: order.Paid, At: at, Trace: sampledTrace}}); err != nil {
		t.Fatal(err)
	}
	var carried trace.SpanContext
	carrier := fakeCarrierFunc(func(ctx context.Context, _ order.Order) error {
		carried = trace.SpanContextFromContext(ctx)
		return nil
	})
	ranTo(t, workers.NewShipRescuer(workers.DefaultRescueConfig(), s.orders, carrier, quiet).RunOnce, 1)
	ship, batch := spansNamed(spans.GetSpans(), "ship"), spansNamed(spans.GetSpans(), "ship batch")
	if len(ship) != 1 || len(batch) != 1 || ship[0].Parent.SpanID().String() != "b7ad6b7169203331" || len(batch[0].Links) != 1 {
		t.Fatalf("ship %+v, ship batch %+v", ship, batch)
	}
	if carried.SpanID() != ship[0].SpanContext.SpanID() || ship[0].Links[0].SpanContext.SpanID() != batch[0].SpanContext.SpanID() {
		t.Errorf("the carrier was called in span %s; want %+v", carried.SpanID(), ship[0])
	}
	if !slices.Contains(ship[0].Attributes, tracing.OrderState(order.Shipped)) {
		t.Errorf("ship has the attributes %v; want the state SHIPPED", ship[0].Attributes)
	}
}

// TestOrderRepairer_TraceFromTheHotOrder: an order that the queue lost gets its row with the trace of its request.
func TestOrderRepairer_TraceFromTheHotOrder(t *testing.T) {
	s := openShop(t, openSQLite(t))
	o := freshOrder()
	_, err := s.Reserve(t.Context(), stock.Request{
		OrderID: o.ID, Customer: o.CustomerID, Key: string(o.ID), Fingerprint: o.Fingerprint, Demand: o.Demand(), Snapshot: snapshot(o), Trace: sampledTrace,
	})
	if err != nil {
		t.Fatal(err)
	}
	if hot, err := s.HotOrder(t.Context(), o.ID); err != nil || hot.Trace != sampledTrace {
		t.Errorf("the hot order has the trace %q, %v", hot.Trace, err)
	}
	plain := freshOrder()
	s.reserve(t, plain)
	if hot, err := s.HotOrder(t.Context(), plain.ID); err != nil || hot.Trace != "" {
		t.Errorf("an order without a trace has %q, %v", hot.Trace, err)
	}
	s.flush(t)
	ranTo(t, s.repairer(&fakeCanceller{}).RunOnce, 2)
	for id, want := range map[order.ID]string{o.ID: sampledTrace, plain.ID: ""} {
		if got, err := s.orders.Get(t.Context(), id); err != nil || got.Trace != want {
			t.Errorf("the row has the trace %q, %v; want %q", got.Trace, err, want)
		}
	}
}
