package queue_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/spillway/spillway/queue"
)

func headers(n, valueBytes int) map[string]string {
	out := make(map[string]string, n)
	for i := range n {
		out[fmt.Sprintf("h%02d", i)] = strings.Repeat("v", valueBytes)
	}
	return out
}

func TestOutgoing_Check(t *testing.T) {
	t.Parallel()
	body := []byte("x")
	for name, c := range map[string]struct {
		message queue.Outgoing
		want    error
	}{
		"a small one":            {queue.Outgoing{Body: body}, nil},
		"the largest body":       {queue.Outgoing{Body: make([]byte, queue.MaxBodyBytes)}, nil},
		"a body too large":       {queue.Outgoing{Body: make([]byte, queue.MaxBodyBytes+1)}, queue.ErrTooLarge},
		"an empty body":          {queue.Outgoing{}, queue.ErrInvalid},
		"as many headers as fit": {queue.Outgoing{Body: body, Headers: headers(queue.MaxHeaders, 1)}, nil},
		"too many headers":       {queue.Outgoing{Body: body, Headers: headers(queue.MaxHeaders+1, 1)}, queue.ErrTooLarge},
		"headers as large as fit": {
			queue.Outgoing{Body: body, Headers: headers(8, queue.MaxHeaderBytes/8-len("h00"))}, nil,
		},
		"headers too large": {
			queue.Outgoing{Body: body, Headers: headers(8, queue.MaxHeaderBytes/8-len("h00")+1)}, queue.ErrTooLarge,
		},
		"an upper-case name": {queue.Outgoing{Body: body, Headers: map[string]string{"Kind": "v"}}, queue.ErrInvalid},
		"an empty name":      {queue.Outgoing{Body: body, Headers: map[string]string{"": "v"}}, queue.ErrInvalid},
		"an empty value":     {queue.Outgoing{Body: body, Headers: map[string]string{"k": ""}}, nil},
		"a control value":    {queue.Outgoing{Body: body, Headers: map[string]string{"k": "\x01"}}, queue.ErrInvalid},
		"an umlaut":          {queue.Outgoing{Body: body, Headers: map[string]string{"k": "ü"}}, queue.ErrInvalid},
	} {
		if err := c.message.Check(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestCheckName_Bounds(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"orders": true, "spillway-test_0": true, strings.Repeat("n", queue.MaxNameBytes): true,
		"": false, "a.b": false, "%DLQ%x": false, "a b": false, strings.Repeat("n", queue.MaxNameBytes+1): false,
	} {
		if err := queue.CheckName("topic", name); (err == nil) != ok || err != nil && !errors.Is(err, queue.ErrInvalid) {
			t.Errorf("CheckName(%q) = %v, want ok = %v", name, err, ok)
		}
	}
}

func TestPrepare_MessageWithTrace(t *testing.T) {
	t.Parallel()
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	ctx := trace.ContextWithSpanContext(t.Context(), sc)
	own := map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	got, err := queue.Prepare(ctx, []queue.Outgoing{{Body: []byte("x")}, {Body: []byte("x"), Headers: own}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "00-01000000000000000000000000000000-0200000000000000-00"; got[0].Headers["traceparent"] != want {
		t.Errorf("traceparent = %q, want the sender's, %q", got[0].Headers["traceparent"], want)
	}
	if got[1].Headers["traceparent"] != own["traceparent"] {
		t.Errorf("traceparent = %q, want the message's own", got[1].Headers["traceparent"])
	}
	m := queue.Message{Headers: own}
	if id := trace.SpanContextFromContext(m.Context(t.Context())).TraceID().String(); id != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("trace id = %s", id)
	}
	if m := (queue.Message{}); m.Context(ctx) != ctx {
		t.Error("a message without a trace changed the context")
	}
}

func TestPrepare_NoTrace(t *testing.T) {
	t.Parallel()
	got, err := queue.Prepare(t.Context(), []queue.Outgoing{{Body: []byte("x")}})
	if err != nil || len(got[0].Headers) != 1 {
		t.Errorf("headers = %v, %v; want the checksum alone", got[0].Headers, err)
	}
}

// TestPrepare_Checksum: each byte of a body matters, and a message of a version without checksums passes.
func TestPrepare_Checksum(t *testing.T) {
	t.Parallel()
	body := []byte("some body")
	got, err := queue.Prepare(t.Context(), []queue.Outgoing{{Body: body, Headers: map[string]string{"a": "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	m := queue.Message{Body: body, Headers: got[0].Headers}
	if err := m.CheckBody(); err != nil || m.Headers["a"] != "b" {
		t.Errorf("as it was sent: %v, headers %v", err, m.Headers)
	}
	for i := range body {
		m.Body = bytes.Clone(body)
		m.Body[i] ^= 1
		if err := m.CheckBody(); !errors.Is(err, queue.ErrCorrupt) {
			t.Errorf("with another byte %d: %v, want %v", i, err, queue.ErrCorrupt)
		}
	}
	if err := (queue.Message{Body: body}).CheckBody(); err != nil {
		t.Errorf("without a checksum: %v", err)
	}
}
