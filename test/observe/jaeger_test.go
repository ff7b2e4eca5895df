package observe

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/test/realparts"
	"github.com/spillway/spillway/tracing"
)

// jaegerSpan is a span in Jaeger's JSON.
type jaegerSpan struct {
	TraceID, SpanID, OperationName, ProcessID string

	References []jaegerReference
	StartTime  int64 // in µs of Unix time
}

// jaegerReference is a span's parent or a link.
type jaegerReference struct{ RefType, TraceID, SpanID string }

// jaegerTrace is a trace in Jaeger's JSON.
type jaegerTrace struct{ Spans []jaegerSpan }

// services returns the names of the services that Jaeger has spans of.
func services(t *testing.T, jaeger *realparts.Jaeger) []string {
	t.Helper()
	var names struct{ Data []string }
	ask(t, jaeger, "/api/services", &names)
	return names.Data
}

// search returns traces with such a span of one of the services. Tags are attributes that one of their spans has; none if nil.
func search(t *testing.T, jaeger *realparts.Jaeger, operation string, tags map[string]string) (out []jaegerTrace) {
	t.Helper()
	text, err := json.Marshal(tags)
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range services(t, jaeger) {
		q := url.Values{"service": {service}, "operation": {operation}, "limit": {"100"}, "lookback": {"1h"}}
		if tags != nil {
			q.Set("tags", string(text))
		}
		var found struct{ Data []jaegerTrace }
		ask(t, jaeger, "/api/traces?"+q.Encode(), &found)
		out = append(out, found.Data...)
	}
	return out
}

// ask reads JSON from Jaeger.
func ask(t *testing.T, jaeger *realparts.Jaeger, path string, into any) {
	t.Helper()
	status, body := get("http://" + jaeger.Addr() + path)
	if err := json.Unmarshal([]byte(body), into); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s (%v)", path, status, body, err)
	}
}

// named returns the spans of that name.
func (tr jaegerTrace) named(name string) (out []jaegerSpan) {
	for _, s := range tr.Spans {
		if s.OperationName == name {
			out = append(out, s)
		}
	}
	return out
}

// parent returns the id of the span's parent in its trace.
func (s jaegerSpan) parent() string {
	for _, r := range s.References {
		if r.RefType == "CHILD_OF" && r.TraceID == s.TraceID {
			return r.SpanID
		}
	}
	return ""
}

// linksTo reports whether the span has a link to the other one.
func (s jaegerSpan) linksTo(other jaegerSpan) bool {
	return slices.ContainsFunc(s.References, func(r jaegerReference) bool {
		return r.RefType == "FOLLOWS_FROM" && r.TraceID == other.TraceID && r.SpanID == other.SpanID
	})
}

const placeSpan = "spillway.v1.CheckoutService/PlaceOrder"

// TestJaeger_OneOrder asks Jaeger for one order, by its id, as an operator does. It finds each of its steps in three processes, joined to
// the request by their parents, and to the batches by links.
func TestJaeger_OneOrder(t *testing.T) {
	jaeger := realparts.StartJaeger(t)
	d := deploy(t, "ok", "OTEL_EXPORTER_OTLP_ENDPOINT="+jaeger.OTLP, "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none", "OTEL_BSP_SCHEDULE_DELAY=200")
	orders := store.NewOrders(d.db())
	sku, token := d.product(3), d.guest()
	id := d.place(sku, token, "traced")
	d.place(sku, token, "another")
	d.inState(orders, id, order.Shipped)

	steps := []string{"reserve", "charge", "settle", "relay", "write", "ship"}
	var found jaegerTrace
	eventually(t, pathTimeout, "all steps of the order in Jaeger", func() bool {
		all := search(t, jaeger, "ship", map[string]string{string(tracing.OrderIDKey): string(id)})
		if len(all) == 0 {
			return false
		}
		found = all[0]
		return len(found.named(placeSpan)) == 1 && !slices.ContainsFunc(steps, func(s string) bool { return len(found.named(s)) == 0 })
	})
	place := found.named(placeSpan)[0]
	processes := map[string]bool{}
	for _, name := range steps {
		for _, s := range found.named(name) { // Two of write: the order is PENDING, then PAID.
			if s.parent() != place.SpanID || s.StartTime < place.StartTime {
				t.Errorf("%s: %+v; want a child of %+v", name, s, place)
			}
			processes[s.ProcessID] = true
		}
	}
	if len(processes) != 3 {
		t.Errorf("the steps are in %d processes; want those of the API, of the relay and of the other workers", len(processes))
	}
	for _, batch := range []string{"flush batch", "relay batch", "write batch", "ship batch"} {
		eventually(t, pathTimeout, "a "+batch+" with a link to the request", func() bool {
			return slices.ContainsFunc(search(t, jaeger, batch, nil), func(tr jaegerTrace) bool {
				return slices.ContainsFunc(tr.named(batch), func(s jaegerSpan) bool { return s.linksTo(place) })
			})
		})
	}
}
