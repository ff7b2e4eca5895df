package app_test

import (
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/test/fakeotlp"
)

// TestTelemetry_CallsContinueTheCallersTrace: the span of a call is in the trace of its traceparent header, and is measured.
func TestTelemetry_CallsContinueTheCallersTrace(t *testing.T) {
	c := fakeotlp.Start(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	cfg := embedded(t)
	cfg.Admin.Listen = "127.0.0.1:0"
	a, stop := start(t, cfg, slog.New(slog.DiscardHandler))
	const trace = "0af7651916cd43dd8448eb211c80319c"
	ctx, info := connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Traceparent", "00-"+trace+"-b7ad6b7169203331-01")
	if _, err := spillwayv1connect.NewSessionServiceClient(http.DefaultClient, a.URL()).StartGuestSession(ctx, &spillwayv1.StartGuestSessionRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, metrics := get(t, a.AdminURL()+"/metrics"); !strings.Contains(metrics, `rpc_server_call_duration_seconds_count{`) {
		t.Error("the call is not measured")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	id, err := hex.DecodeString(trace)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{base64.StdEncoding.EncodeToString(id), "spillway.v1.SessionService/StartGuestSession"} {
		if !strings.Contains(c.Received(), want) {
			t.Errorf("the collector got no %s", want)
		}
	}
}
