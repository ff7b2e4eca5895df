package requestid_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spillway/spillway/requestid"
)

func TestMiddleware_TakesOnlyWellFormedIDs(t *testing.T) {
	var inside string
	h := requestid.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inside = requestid.From(r.Context()) }))
	for name, c := range map[string]struct {
		id    string
		taken bool
	}{
		"uuid":         {"0b9f8f0e-5c3f-4a53-9b8e-0d4f6a0c7c11", true},
		"aws":          {"Root=1-67891233-abcdef012345678912345678", true},
		"longest":      {strings.Repeat("a", 128), true},
		"none":         {"", false},
		"too long":     {strings.Repeat("a", 129), false},
		"line break":   {"a\nlevel=ERROR", false},
		"space":        {"a b", false},
		"quotes":       {`a"b`, false},
		"not ASCII":    {"ä", false},
		"a zero byte":  {"a\x00", false},
		"an HTML mark": {"<b>", false},
	} {
		t.Run(name, func(t *testing.T) {
			req, w := httptest.NewRequest(http.MethodGet, "/", http.NoBody), httptest.NewRecorder()
			req.Header.Set(requestid.Header, c.id)
			h.ServeHTTP(w, req)
			got := w.Header().Get(requestid.Header)
			if got != inside || got == "" || (got == c.id) != c.taken {
				t.Errorf("the response has %q and the context %q; want the same, and taken from the request: %t", got, inside, c.taken)
			}
		})
	}
}

func TestMiddleware_MakesAnotherIDForEachRequest(t *testing.T) {
	seen := map[string]bool{}
	h := requestid.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen[requestid.From(r.Context())] = true }))
	for range 10 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	}
	if len(seen) != 10 {
		t.Errorf("%d ids for 10 requests", len(seen))
	}
}

func TestNewLogHandler_AddsTheIDToEachLine(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(requestid.NewLogHandler(slog.NewTextHandler(&text, nil)))
	ctx := requestid.With(context.Background(), "r1")
	log.InfoContext(ctx, "plain")
	log.With("order_id", "O").InfoContext(ctx, "with attributes")
	log.InfoContext(context.Background(), "outside")
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	for i, want := range []bool{true, true, false} {
		if got := strings.Contains(lines[i], "request_id=r1"); got != want {
			t.Errorf("line %d has the id: %t; want %t: %s", i, got, want, lines[i])
		}
	}
}
