package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/test/fakeotlp"
)

const metricsPage = "../docs/metrics.md"

// instrument is one row of docs/metrics.md.
type instrument struct {
	name, prometheus, kind, unit string
	attributes                   []string
}

// documented reads docs/metrics.md, the golden file of all metrics.
func documented(t *testing.T) map[string]instrument {
	t.Helper()
	f, err := os.Open(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	out := map[string]instrument{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		cells := strings.Split(strings.ReplaceAll(lines.Text(), "`", ""), "|")
		if len(cells) < 7 || !strings.HasPrefix(lines.Text(), "| `") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		out[cells[1]] = instrument{cells[1], cells[2], cells[3], cells[4], strings.FieldsFunc(cells[5], func(r rune) bool { return r == ',' || r == ' ' })}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no metric", metricsPage)
	}
	return out
}

// exportedMetric is a metric as the OTLP protocol has it, in JSON.
type exportedMetric struct {
	Name, Unit            string
	Sum, Gauge, Histogram *struct {
		DataPoints []struct{ Attributes []struct{ Key string } }
	}
}

func (m exportedMetric) instrument() instrument {
	out, data := instrument{name: m.Name, unit: m.Unit, kind: "counter"}, m.Sum
	switch {
	case m.Gauge != nil:
		out.kind, data = "gauge", m.Gauge
	case m.Histogram != nil:
		out.kind, data = "histogram", m.Histogram
	}
	keys := map[string]bool{}
	for _, p := range data.DataPoints {
		for _, a := range p.Attributes {
			keys[a.Key] = true
		}
	}
	out.attributes = slices.Sorted(maps.Keys(keys))
	return out
}

// exported returns the metrics that the collector received.
func exported(t *testing.T, c *fakeotlp.Collector) (out []exportedMetric) {
	t.Helper()
	for line := range strings.Lines(c.Received()) {
		var request struct {
			ResourceMetrics []struct {
				ScopeMetrics []struct{ Metrics []exportedMetric }
			}
		}
		if err := json.Unmarshal([]byte(line), &request); err != nil {
			t.Fatal(err)
		}
		for _, r := range request.ResourceMetrics {
			for _, s := range r.ScopeMetrics {
				out = append(out, s.Metrics...)
			}
		}
	}
	return out
}

// value returns the sum of a metric's series with the label, or of all.
func value(metrics, name, label string) (sum float64, found bool) {
	for _, m := range regexp.MustCompile(`(?m)^`+name+`(?:\{(.*)\})? (\S+)$`).FindAllStringSubmatch(metrics, -1) {
		if strings.Contains(m[1], label) {
			var v float64
			_, _ = fmt.Sscan(m[2], &v)
			sum, found = sum+v, true
		}
	}
	return sum, found
}

// TestMetrics_AreThoseOfTheGoldenFile: a shop that takes an order exports what docs/metrics.md lists, with types, units and attributes, and
// nothing else; and the order is counted.
func TestMetrics_AreThoseOfTheGoldenFile(t *testing.T) {
	c := fakeotlp.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", c.URL)
	cfg := embedded(t)
	cfg.Admin.Listen, cfg.Audit.Interval = "127.0.0.1:0", 100*time.Millisecond
	a, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	ctx, id := placeOrder(t, a.URL())
	waitForState(ctx, t, a.URL(), id, spillwayv1.OrderState_ORDER_STATE_SHIPPED)
	var metrics string
	for name, want := range map[string]struct {
		label string
		value float64
	}{
		"app_order_placed_total":                 {"", 1},
		"app_stock_charge_success_total":         {"", 1},
		"app_shipping_success_total":             {`source="normal"`, 1},
		"spillway_checkout_results_total":        {`result="accepted"`, 1},
		"app_forwarder_lag_ms":                   {"", 0},
		"spillway_dead_letters_open":             {"", 0},
		"spillway_breaker_state":                 {`breaker="redis"`, 0},
		"spillway_epoch_number":                  {"", 1},
		"spillway_order_age_seconds_count":       {`at="shipped"`, 1},
		"spillway_audit_violations":              {`rule="charge_is_total"`, 0},
		"spillway_worker_handled_total":          {`worker="shipper"`, 1},
		"spillway_batch_size_count":              {`batch="ship"`, 1},
		"spillway_mail_sent_total":               {`kind="confirmation"`, 1},
		"spillway_checkout_steps_total":          {`result="done",step="charge"`, 1},
		"spillway_checkout_active":               {`step="place_order"`, 0},
		"rpc_server_call_duration_seconds_count": {`rpc_method="spillway.v1.CheckoutService/PlaceOrder"`, 1},
	} {
		deadline := time.Now().Add(testTimeout)
		for {
			_, metrics = get(t, a.AdminURL()+"/metrics")
			got, found := value(metrics, name, want.label)
			if found && got == want.value {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s{%s} is %v, %t; want %v:\n%s", name, want.label, got, found, want.value, metrics)
			}
			<-time.After(testInterval)
		}
	}
	if got, _ := value(metrics, "repo_flush_success_total", ""); got < 1 {
		t.Errorf("repo_flush_success_total is %v", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	golden := documented(t)
	for _, m := range exported(t, c) {
		got, want := m.instrument(), golden[m.Name]
		if got.kind != want.kind || got.unit != want.unit {
			t.Errorf("%s is a %s in %q; %s has %s in %q", m.Name, got.kind, got.unit, metricsPage, want.kind, want.unit)
		}
		for _, key := range got.attributes {
			if !slices.Contains(want.attributes, key) {
				t.Errorf("%s has attribute %s, which is not in %s", m.Name, key, metricsPage)
			}
		}
		series := want.prometheus
		if want.kind == "histogram" {
			series += "_count"
		}
		if _, found := value(metrics, series, ""); !found {
			t.Errorf("Prometheus does not have %s as %s", m.Name, series)
		}
	}
}

// declaration is an instrument in the code.
var declaration = regexp.MustCompile(`\.(?:Int64|Float64)(?:Observable)?(?:Counter|UpDownCounter|Gauge|Histogram)\(\s*"([^"]+)"`)

// TestMetrics_EveryInstrumentIsInTheGoldenFile: the code declares what docs/metrics.md lists, apart from what libraries declare.
func TestMetrics_EveryInstrumentIsInTheGoldenFile(t *testing.T) {
	golden, declared := documented(t), map[string]bool{"rpc.server.call.duration": true}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && slices.Contains([]string{"node_modules", ".git", "test", ".bin"}, d.Name()) {
			return errorsOrSkip(err)
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range declaration.FindAllStringSubmatch(string(text), -1) {
			declared[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(declared)), slices.Sorted(maps.Keys(golden)); !slices.Equal(got, want) {
		t.Errorf("the code declares %v\n%s lists %v", got, metricsPage, want)
	}
}

func errorsOrSkip(err error) error {
	if err != nil {
		return err
	}
	return filepath.SkipDir
}

// TestMetrics_LagOfADeadRelayRises: the gauge is read by every process at each scrape, also without a relay.
func TestMetrics_LagOfADeadRelayRises(t *testing.T) {
	cfg := embedded(t)
	cfg.Admin.Listen = "127.0.0.1:0"
	cfg.Workers = slices.DeleteFunc(cfg.Workers, func(w string) bool { return w == "order-relay" })
	a, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	defer func() { _ = stop() }()
	lag := func() float64 {
		_, metrics := get(t, a.AdminURL()+"/metrics")
		v, _ := value(metrics, "app_forwarder_lag_ms", "")
		return v
	}
	if got := lag(); got != 0 {
		t.Errorf("the lag of an empty journal is %v ms", got)
	}
	placeOrder(t, a.URL())
	for last, deadline := 0.0, time.Now().Add(testTimeout); last < 300; {
		got := lag()
		if got < last || time.Now().After(deadline) {
			t.Fatalf("the lag is %v ms after %v ms", got, last)
		}
		last = got
		<-time.After(testInterval)
	}
}

// TestMetrics_RefusedCheckoutsAreCountedByReason counts no order.
func TestMetrics_RefusedCheckoutsAreCountedByReason(t *testing.T) {
	cfg := embedded(t)
	cfg.Admin.Listen = "127.0.0.1:0"
	a, _ := start(t, cfg, slog.New(slog.DiscardHandler))
	if _, err := spillwayv1connect.NewCheckoutServiceClient(http.DefaultClient, a.URL()).PlaceOrder(context.Background(), &spillwayv1.PlaceOrderRequest{}); err == nil {
		t.Fatal("placed without a token")
	}
	_, metrics := get(t, a.AdminURL()+"/metrics")
	if n, _ := value(metrics, "spillway_checkout_results_total", `result="TOKEN_`); n != 1 {
		t.Errorf("the refusal is not counted: %v", n)
	}
	if n, found := value(metrics, "app_order_placed_total", ""); found {
		t.Errorf("%v orders are counted", n)
	}
}
