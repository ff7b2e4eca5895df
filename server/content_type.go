package server

import (
	"mime"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/order"
)

// usualContentType is that of nearly all requests. It is compared before others are parsed, because a parse allocates.
const usualContentType = "application/json"

// contentTypes refuses a POST with a content type of no protocol, and lists those that are, and other methods that are no call. Connect's own responses to
// them are empty.
func contentTypes(errs rpcErrors, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost && !isRPC(r) {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "Procedures are called by POST: curl -H 'Content-Type: application/json' -d '{}' http://HOST:PORT"+r.URL.Path, http.StatusMethodNotAllowed)
			return
		}
		if text := contentTypeError(r); text != "" {
			f := refusal{code: connect.CodeInvalidArgument, reason: order.ReasonUnsupportedContentType, text: text}
			errs.write(w, r, f, http.StatusUnsupportedMediaType)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// contentTypeError is the error of a request's content type, or "".
func contentTypeError(r *http.Request) string {
	contentType := r.Header.Get("Content-Type")
	switch {
	case r.Method != http.MethodPost:
		return ""
	case !isProtocol(contentType):
		return "send Content-Type: application/json (or application/proto, application/grpc)"
	case streams[r.URL.Path] && isUnaryType(contentType):
		return "the response is a stream: send Content-Type: application/connect+json (or application/connect+proto, application/grpc, " +
			"application/grpc-web), with the message in an envelope"
	case !isEncoding(r.Header.Get("Content-Encoding")):
		return "send the body as it is, or with Content-Encoding: gzip"
	}
	return ""
}

// isEncoding reports whether the Content-Encoding is one that is read. The protocols with envelopes have a header of their own.
func isEncoding(encoding string) bool {
	return encoding == "" || encoding == "gzip" || encoding == "identity"
}

// isProtocol reports whether the content type is one of the protocols, in UTF-8.
func isProtocol(contentType string) bool {
	if contentType == usualContentType {
		return true
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if charset := params["charset"]; err != nil || (charset != "" && !strings.EqualFold(charset, "utf-8")) {
		return false
	}
	switch kind {
	case usualContentType, "application/proto", "application/connect+json", "application/connect+proto",
		"application/grpc", "application/grpc+json", "application/grpc+proto",
		"application/grpc-web", "application/grpc-web+json", "application/grpc-web+proto":
		return true
	}
	return false
}

// isUnaryType reports whether the content type, one of isProtocol, is of Connect's unary calls.
func isUnaryType(contentType string) bool {
	if contentType == usualContentType {
		return true
	}
	kind, _, _ := mime.ParseMediaType(contentType) // It was parsed before.
	return kind == usualContentType || kind == "application/proto"
}
