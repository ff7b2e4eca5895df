package telemetry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Series is the present value of one series of a metric of this process.
type Series struct {
	// Name is the name of the instrument, such as "app.order.placed".
	Name       string
	Attributes attribute.Set
	// Value is the value of a counter or gauge, and the sum of a histogram.
	Value float64
	// Count is the number of values of a histogram.
	Count uint64
}

// Attribute returns an attribute's value as text; empty if the series does not have it.
func (s Series) Attribute(key string) string {
	v, _ := s.Attributes.Value(attribute.Key(key))
	return v.String()
}

// Series reads the metrics of this process, as /metrics serves them: nothing is counted a second time. It needs Config.Read. With a context of
// Locally, gauges that would query a dependency are absent. Series of observable instruments that failed are absent too.
func (t *Telemetry) Series(ctx context.Context) ([]Series, error) {
	if t.reader == nil {
		return nil, nil
	}
	var read metricdata.ResourceMetrics
	if err := t.reader.Collect(ctx, &read); err != nil && len(read.ScopeMetrics) == 0 {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	var out []Series
	for _, scope := range read.ScopeMetrics {
		for _, m := range scope.Metrics {
			out = append(out, seriesOf(m)...)
		}
	}
	return out, nil
}

func seriesOf(m metricdata.Metrics) []Series {
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		return values(m.Name, data.DataPoints)
	case metricdata.Sum[float64]:
		return values(m.Name, data.DataPoints)
	case metricdata.Gauge[int64]:
		return values(m.Name, data.DataPoints)
	case metricdata.Gauge[float64]:
		return values(m.Name, data.DataPoints)
	case metricdata.Histogram[int64]:
		return histograms(m.Name, data.DataPoints)
	case metricdata.Histogram[float64]:
		return histograms(m.Name, data.DataPoints)
	}
	return nil
}

func values[N int64 | float64](name string, points []metricdata.DataPoint[N]) []Series {
	out := make([]Series, len(points))
	for i, p := range points {
		out[i] = Series{Name: name, Attributes: p.Attributes, Value: float64(p.Value)}
	}
	return out
}

func histograms[N int64 | float64](name string, points []metricdata.HistogramDataPoint[N]) []Series {
	out := make([]Series, len(points))
	for i, p := range points {
		out[i] = Series{Name: name, Attributes: p.Attributes, Value: float64(p.Sum), Count: p.Count}
	}
	return out
}

type localKey struct{}

// Locally returns a context for Series that reads this process alone: callbacks of observable instruments query no dependency.
func Locally(ctx context.Context) context.Context { return context.WithValue(ctx, localKey{}, true) }

// IsLocal reports whether the context is one of Locally.
func IsLocal(ctx context.Context) bool { return ctx.Value(localKey{}) != nil }

// onlyReadView drops the instruments that nothing in this process reads, if its metrics are neither exported nor scraped: those of each RPC.
func onlyReadView() metric.View {
	return metric.NewView(metric.Instrument{Name: "rpc.*"}, metric.Stream{Aggregation: metric.AggregationDrop{}})
}
