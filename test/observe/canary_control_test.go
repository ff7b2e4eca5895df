package observe

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/spillway/spillway/telemetry"
	"github.com/spillway/spillway/test/fakeotlp"
)

func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// TestFinder_FindsEachForm is the negative control of the finder: a value is found in each form that programs print values in.
func TestFinder_FindsEachForm(t *testing.T) {
	c, twin := newCanaries("control"), newCanaries("control")
	c.token = "eyJhbGciOiJIUzI1NiJ9." + word() + word() + "." + word() + word()
	f := newFinder([]canaries{c, twin})
	for value, text := range map[string]string{"card": c.card, "token": c.token, "e-mail": c.email, "street": c.street, "name": c.name} {
		for form, planted := range map[string]string{
			"raw": text, "upper case": strings.ToUpper(text), "JSON": asJSON(text), "JSON in JSON": asJSON(asJSON(text)), "quoted": fmt.Sprintf("%+q", text),
			"query": url.QueryEscape(text), "path": url.PathEscape(text), "hex": hex.EncodeToString([]byte(text)), "a dump": fmt.Sprintf("%X", text),
			"base64": base64.StdEncoding.EncodeToString([]byte(text)), "base64 of more": base64.URLEncoding.EncodeToString([]byte("x" + text + "y")),
			"base64 of other JSON": base64.StdEncoding.EncodeToString([]byte(asJSON(map[string]string{"é": text, "z": "z"}))),
			"the last 12":          text[len(text)-pieceBytes:], "the first 12": text[:pieceBytes],
		} {
			if strings.HasSuffix(form, "12") && value != "card" && value != "token" {
				continue // Shorter than a word.
			}
			found := f.in("before " + planted + " after")
			if found["control: "+value] == "" {
				t.Errorf("%s as %s is not found: %s", value, form, planted)
			}
		}
	}
	for _, planted := range []string{c.card[:4] + " " + c.card[4:8] + " " + c.card[8:12] + " 1234", "x" + c.card[4:8] + "-" + c.card[8:12] + "-" + c.card[12:]} {
		if f.in(planted)["control: card"] == "" {
			t.Errorf("the card is not found in %q", planted)
		}
	}
	for _, planted := range []string{"cvv=" + c.cvv + " cvv:" + twin.cvv, fmt.Sprintf("code %s and %q", c.cvv, twin.cvv), `{"cvv":"` + c.cvv + `"}`} {
		if len(f.in(planted)) == 0 {
			t.Errorf("the CVV is not found in %q", planted)
		}
	}
	if found := f.in(fmt.Sprintf("level=DEBUG msg=%q duration=1.%sms addr=127.0.0.1:%s card=[card] n=%s", "request", c.cvv, twin.cvv, c.cvv)); len(found) > 0 {
		t.Errorf("what is no leak is found: %v", found)
	}
}

// TestFinder_FindsWhatIsExported is the negative control of what the processes write: a span, a metric and a log line with a canary are found in
// what the collector receives, and the line in the log.
func TestFinder_FindsWhatIsExported(t *testing.T) {
	collector := fakeotlp.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_TRACES_SAMPLER", "always_on")
	var log bytes.Buffer
	tel, err := telemetry.Start(t.Context(), telemetry.Config{Role: "all", Log: slog.New(slog.NewJSONHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	attributes, status, event := newCanaries("attribute"), newCanaries("status"), newCanaries("event")
	span, count, line := newCanaries("name"), newCanaries("metric"), newCanaries("line")
	ctx, s := otel.Tracer("test").Start(t.Context(), "GET /"+url.PathEscape(span.street))
	s.SetAttributes(attribute.String("db.query.text", "INSERT "+asJSON(attributes.email)))
	s.RecordError(fmt.Errorf("no such customer: %q", event.name))
	s.SetStatus(1, "declined "+status.card)
	counter, err := otel.Meter("test").Int64Counter("things")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(ctx, 1, metric.WithAttributes(attribute.String("customer", count.email)))
	tel.Log().With("order", line.street).InfoContext(ctx, "placed")
	s.End()
	tel.Stop(t.Context())
	f := newFinder([]canaries{attributes, status, event, span, count, line})
	got := slices.Sorted(maps.Keys(f.in(collector.Received())))
	if want := []string{"attribute: e-mail", "event: name", "line: street", "metric: e-mail", "name: street", "status: card"}; !slices.Equal(got, want) {
		t.Errorf("found %v; want %v, in %s", got, want, collector.Received())
	}
	if got := f.in(log.String()); got["line: street"] == "" {
		t.Errorf("the log line is not found: %s", log.String())
	}
}
