package store

import (
	"context"
	"errors"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/spillway/spillway/tracing"
)

// TestGroup_AnswersOfCallersThatLeft checks that each caller gets the result of its own item, although buffers and channels are used again and
// some callers leave before their commit.
func TestGroup_AnswersOfCallersThatLeft(t *testing.T) {
	entered, commit := make(chan struct{}), make(chan struct{})
	blocking := true
	g := newGroup("batch", func(_ context.Context, items []int) ([]int, error) {
		if blocking { // Only the first commit; the goroutine of the group alone reads and writes this.
			blocking = false
			entered <- struct{}{}
			<-commit
		}
		for i := range items {
			items[i] *= 10
		}
		return items, nil
	})
	defer g.close()
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := g.do(ctx, 1)
		left <- err
	}()
	<-entered
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want context.Canceled", err)
	}
	close(commit)
	var callers sync.WaitGroup
	for i := range 10 * maxGroup {
		callers.Go(func() {
			ended, end := context.WithCancel(t.Context())
			defer end()
			if i%7 == 0 {
				end()
			}
			got, err := g.do(ended, i)
			if got != 10*i && !errors.Is(err, context.Canceled) {
				t.Errorf("item %d got %d, %v", i, got, err)
			}
		})
	}
	callers.Wait()
}

// TestGroup_CommitLinksToSampledCallers checks that a commit has a span if a caller's trace is sampled, and the commit's context that span.
func TestGroup_CommitLinksToSampledCallers(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSyncer(spans)))
	t.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })
	var committed trace.SpanContext
	g := newGroup("charge batch", func(ctx context.Context, items []int) ([]int, error) {
		committed = trace.SpanContextFromContext(ctx)
		return items, nil
	})
	defer g.close()
	for flags, want := range map[string]int{"00": 0, "01": 1} {
		spans.Reset()
		if _, err := g.do(tracing.Context(t.Context(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"+flags), 1); err != nil {
			t.Fatal(err)
		}
		got := spans.GetSpans()
		if len(got) != want || committed.IsValid() != (want == 1) {
			t.Fatalf("flags %s: spans %+v; want %d", flags, got, want)
		}
		if want == 1 && (got[0].Name != "charge batch" || len(got[0].Links) != 1 || committed.SpanID() != got[0].SpanContext.SpanID()) {
			t.Errorf("span %+v, committed in %s", got[0], committed.SpanID())
		}
	}
}

func BenchmarkGroup(b *testing.B) {
	g := newGroup("batch", func(_ context.Context, items []int) ([]int, error) { return items, nil })
	defer g.close()
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = g.do(b.Context(), 1)
		}
	})
}
