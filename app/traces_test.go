package app_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	smtpmock "github.com/mocktools/go-smtp-mock/v2"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/telemetry"
	"github.com/spillway/spillway/tracing"
)

const placeSpan = "spillway.v1.CheckoutService/PlaceOrder"

// recordSpans makes an exporter in memory the process's, with the default sampler, until the test ends. It comes before the shop is started.
func recordSpans(t *testing.T) *tracetest.InMemoryExporter {
	t.Helper()
	out := tracetest.NewInMemoryExporter()
	otel.SetTracerProvider(sdk.NewTracerProvider(sdk.WithSyncer(out), sdk.WithSampler(telemetry.NewSampler())))
	t.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })
	return out
}

// trail are the spans of one order: those of the trace of its request, and the batches that link to it.
type trail struct {
	place   tracetest.SpanStub
	steps   map[string]tracetest.SpanStub // by name
	batches map[string]tracetest.SpanStub
}

func trailOf(spans tracetest.SpanStubs) trail {
	out := trail{steps: make(map[string]tracetest.SpanStub), batches: make(map[string]tracetest.SpanStub)}
	for _, s := range spans {
		if s.Name == placeSpan && s.SpanKind == trace.SpanKindServer {
			out.place = s
		}
	}
	for _, s := range spans {
		if s.SpanContext.TraceID() == out.place.SpanContext.TraceID() {
			out.steps[s.Name] = s
		}
		if linksTo(s, out.place) {
			out.batches[s.Name] = s
		}
	}
	return out
}

// orderSteps are the steps of an order, each a child of the span of its request.
var orderSteps = []string{"reserve", "charge", "settle", "relay", "write", "ship"}

// orderBatches are the batches that link to the span of its request.
var orderBatches = []string{"flush batch", "relay batch", "write batch", "ship batch", "mail batch"}

// check reports what is missing or not joined.
func (tr trail) check(spans tracetest.SpanStubs, id string) error {
	if !tr.place.SpanContext.IsValid() {
		return errors.New("no span of the request")
	}
	for _, name := range orderSteps {
		s, ok := tr.steps[name]
		if !ok || s.Parent.SpanID() != tr.place.SpanContext.SpanID() || valueOf(s, tracing.OrderIDKey) != id {
			return fmt.Errorf("%s: found %t, parent %s, attributes %v", name, ok, s.Parent.SpanID(), s.Attributes)
		}
	}
	for _, name := range orderBatches {
		if _, ok := tr.batches[name]; !ok {
			return fmt.Errorf("no %s links to the request; links from %v", name, slices.Collect(maps.Keys(tr.batches)))
		}
	}
	for step, batch := range map[string]string{"relay": "relay batch", "write": "write batch", "ship": "ship batch"} {
		if l := tr.steps[step].Links; len(l) != 1 || l[0].SpanContext.SpanID() != tr.batches[batch].SpanContext.SpanID() {
			return fmt.Errorf("%s links to %+v, not to its batch", step, l)
		}
	}
	if !slices.ContainsFunc(spans, func(s tracetest.SpanStub) bool { return s.Name == "charge batch" && linksTo(s, tr.steps["charge"]) }) {
		return errors.New("no commit of the ledger links to the charge")
	}
	return tr.checkQueue(spans)
}

func linksTo(s, to tracetest.SpanStub) bool {
	return slices.ContainsFunc(s.Links, func(l sdk.Link) bool { return l.SpanContext.SpanID() == to.SpanContext.SpanID() })
}

// checkQueue follows the order's message: its batch sends it, and each group's processing links to the sending.
func (tr trail) checkQueue(spans tracetest.SpanStubs) error {
	var send tracetest.SpanStub
	for _, s := range spans {
		if strings.HasPrefix(s.Name, "send ") && s.Parent.SpanID() == tr.batches["relay batch"].SpanContext.SpanID() && s.SpanKind == trace.SpanKindProducer {
			send = s
		}
	}
	groups := make(map[string][]string)
	for _, s := range spans {
		if linksTo(s, send) {
			group := valueOf(s, "messaging.consumer.group.name")
			groups[group] = append(groups[group], valueOf(s, "messaging.operation.name"))
		}
	}
	for _, group := range []string{"orders", "shipping", "mail"} {
		if !slices.Contains(groups[group], "receive") || !slices.Contains(groups[group], "process") {
			return fmt.Errorf("group %s: %v link to the sending %s", group, groups[group], send.SpanContext.SpanID())
		}
	}
	return nil
}

func valueOf(s tracetest.SpanStub, key attribute.Key) string {
	for _, kv := range s.Attributes {
		if kv.Key == key {
			return kv.Value.String()
		}
	}
	return ""
}

// awaitTrail returns the spans once the order's trail is complete.
func awaitTrail(t *testing.T, out *tracetest.InMemoryExporter, id string) tracetest.SpanStubs {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); ; {
		spans := out.GetSpans()
		err := trailOf(spans).check(spans, id)
		if err == nil {
			return spans
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(testInterval)
	}
}

// TestTraces_OrderIsJoinedFromRequestToParcel: one order's trace has each of its steps, joined to the batches by links; the batches have their SQL
// statements and queue operations; and no span has anything of the customer.
func TestTraces_OrderIsJoinedFromRequestToParcel(t *testing.T) {
	out := recordSpans(t)
	a, stop := start(t, embedded(t), slog.New(slog.DiscardHandler))
	_, id := placeOrder(t, a.URL())
	spans := awaitTrail(t, out, id)
	flushes := make(map[trace.SpanID]bool) // They write the order's row: durability sql.
	for _, s := range spans {
		flushes[s.SpanContext.SpanID()] = s.Name == "flush batch"
	}
	var statements []string
	for _, s := range spans {
		if flushes[s.Parent.SpanID()] {
			statements = append(statements, s.Name)
		}
	}
	for _, want := range []string{"INSERT orders", "INSERT order_items", "COMMIT"} {
		if !slices.Contains(statements, want) {
			t.Errorf("the flush batches have the statements %v, without %s", statements, want)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, s := range out.GetSpans() {
		checkPrivate(t, s)
	}
}

// allowedAttributes are those that a span may have.
var allowedAttributes = map[attribute.Key]bool{
	tracing.OrderIDKey: true, tracing.OrderStateKey: true, tracing.BatchSizeKey: true, tracing.LinksOmittedKey: true, tracing.SQLRowsKey: true,
	tracing.ChargeDeclinedKey: true, "error.type": true,
	"rpc.system": true, "rpc.system.name": true, "rpc.service": true, "rpc.method": true, "rpc.grpc.status_code": true, "rpc.connect_rpc.error_code": true,
	"rpc.response.status_code": true, "server.address": true, "server.port": true, "client.address": true, "client.port": true, "network.peer.address": true,
	"network.peer.port": true, "net.peer.name": true, "net.peer.port": true, "http.method": true, "http.request.method": true, "http.status_code": true, "url.scheme": true,
	"db.system.name": true, "db.operation.name": true, "db.operation.batch.size": true, "db.collection.name": true, "db.query.summary": true,
	"db.stored_procedure.name": true,
	"messaging.system":         true, "messaging.destination.name": true, "messaging.consumer.group.name": true, "messaging.operation.name": true,
	"messaging.operation.type": true, "messaging.batch.message_count": true,
}

// checkPrivate reports attributes that are not allowed, and what belongs to the customer wherever it is.
func checkPrivate(t *testing.T, s tracetest.SpanStub) {
	t.Helper()
	for _, kv := range s.Attributes {
		if !allowedAttributes[kv.Key] {
			t.Errorf("span %s has the attribute %s", s.Name, kv.Key)
		}
	}
	text := fmt.Sprint(s.Name, s.Attributes, s.Events, s.Status)
	for _, private := range []string{goodCard, "a@example.com", "S 1", "10115", "eyJ"} {
		if strings.Contains(text, private) {
			t.Errorf("span %s has %q: %s", s.Name, private, text)
		}
	}
}

// TestTraces_CallersTraceAndState: a checkout is recorded whatever its caller has decided, in the caller's trace, and the
// caller's tracestate reaches the workers' spans.
func TestTraces_CallersTraceAndState(t *testing.T) {
	out := recordSpans(t)
	a, stop := start(t, embedded(t), slog.New(slog.DiscardHandler))
	const id = "0af7651916cd43dd8448eb211c80319c"
	order := placeTraced(t, a.URL(), "a@example.com", "00-"+id+"-b7ad6b7169203331-00", "vendor=1")
	spans := awaitTrail(t, out, order)
	for name, s := range trailOf(spans).steps {
		if s.SpanContext.TraceID().String() != id {
			t.Errorf("%s is in trace %s", name, s.SpanContext.TraceID())
		}
	}
	if got := trailOf(spans).steps["ship"].SpanContext.TraceState().String(); got != "vendor=1" {
		t.Errorf("the tracestate of ship is %q", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// placeTraced places an order with the headers of a trace.
func placeTraced(t *testing.T, url, email, parent, state string) (id string) {
	t.Helper()
	session, err := spillwayv1connect.NewSessionServiceClient(http.DefaultClient, url).
		StartGuestSession(t.Context(), &spillwayv1.StartGuestSessionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, info := connect.NewClientContext(t.Context())
	for name, value := range map[string]string{"Authorization": "Bearer " + session.GetToken(), "Traceparent": parent, "Tracestate": state} {
		info.RequestHeader().Set(name, value)
	}
	placed, err := spillwayv1connect.NewCheckoutServiceClient(http.DefaultClient, url).PlaceOrder(ctx, &spillwayv1.PlaceOrderRequest{
		Lines: []*spillwayv1.Line{{Sku: "OLJCESPC7Z", Quantity: 1}}, CurrencyCode: "EUR", Email: email, IdempotencyKey: "key-of-" + t.Name(),
		ShippingAddress: &spillwayv1.Address{Name: "A", Street: "S 1", City: "Berlin", PostalCode: "10115", CountryCode: "DE"},
		Card:            &spillwayv1.Card{Number: goodCard, Cvv: "123", ExpiryYear: int32(time.Now().Year() + 1), ExpiryMonth: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return placed.GetOrder().GetId()
}

// TestTraces_DeadLettersHaveTheTraceOfTheirOrder refuses a customer's mails, so that they become dead letters: the confirmation, which is sent
// from the queue, and the mail of the parcel, which waits in SQL. Nothing is recorded; the trace is the caller's.
func TestTraces_DeadLettersHaveTheTraceOfTheirOrder(t *testing.T) {
	const email, id = "refused@example.com", "0af7651916cd43dd8448eb211c80319c"
	office := smtpmock.New(smtpmock.ConfigurationAttr{
		MultipleRcptto: true, MultipleMessageReceiving: true, BlacklistedRcpttoEmails: []string{email},
		MsgRcpttoBlacklistedEmail: "550 no such mailbox",
	})
	if err := office.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = office.Stop() })
	cfg := embedded(t)
	cfg.External.Mail.SMTPHost, cfg.External.Mail.SMTPPort, cfg.External.Mail.SMTPPlain = "127.0.0.1", office.PortNumber(), true
	a, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	placeTraced(t, a.URL(), email, "00-"+id+"-b7ad6b7169203331-00", "")
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(cfg.SQL.DataDir, "spillway.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	dead := awaitDeadLetters(t.Context(), t, store.NewDeadLetters(db), 2)
	for _, l := range dead {
		if l.TraceID != id {
			t.Errorf("dead letter of %s, %s: trace %q; want %s", l.Source, l.Reason, l.TraceID, id)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// awaitDeadLetters returns the dead letters once there are n.
func awaitDeadLetters(ctx context.Context, t *testing.T, letters *store.DeadLetters, n int) []store.DeadLetter {
	t.Helper()
	for deadline := time.Now().Add(testTimeout); ; {
		got, err := letters.List(ctx, store.DeadLetterFilter{}, 0, 10)
		if err == nil && len(got) >= n {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d dead letters, %v; want %d", len(got), err, n)
		}
		<-time.After(testInterval)
	}
}
