// Package requestid carries the id of a request from its HTTP header to the response, to errors and to every log line.
package requestid

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"strings"
)

// Header carries the id in requests and responses.
const Header = "X-Request-Id"

// maxLen bounds an id of a caller, in bytes: a UUID has 36, an id of AWS's load balancer up to about 100.
const maxLen = 128

// logKey is the id's key in log lines.
const logKey = "request_id"

type contextKey struct{}

// With returns a context with the id.
func With(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// From returns the id of the request, or "" outside of one.
func From(ctx context.Context) string {
	id, _ := ctx.Value(contextKey{}).(string)
	return id
}

// Middleware gives each request an id: that of its header if it is well-formed, otherwise a new one. The response has the same header.
func Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(Header)
		if !wellFormed(id) {
			id = rand.Text()
		}
		w.Header().Set(Header, id)
		next.ServeHTTP(w, r.WithContext(With(r.Context(), id)))
	})
}

// wellFormed reports whether the id of a caller can go into headers and logs: 1 to 128 letters, digits and ._~:/+=@-.
func wellFormed(id string) bool {
	if id == "" || len(id) > maxLen {
		return false
	}
	for _, c := range []byte(id) {
		alphanumeric := '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !alphanumeric && strings.IndexByte("._~:/+=@-", c) < 0 {
			return false
		}
	}
	return true
}

// logHandler adds the request's id to each record that is logged with the request's context.
type logHandler struct{ slog.Handler }

// NewLogHandler returns a handler that adds the id of the context's request to each record.
func NewLogHandler(next slog.Handler) slog.Handler { return logHandler{next} }

// Handle adds the id.
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := From(ctx); id != "" {
		r = r.Clone()
		r.AddAttrs(slog.String(logKey, id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the handler around the one with the attributes.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the handler around the one with the group.
func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.Handler.WithGroup(name)} }
