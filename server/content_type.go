package server

import (
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// contentTypes answers a POST that is in no language of a procedure, and says which there are. Connect would answer with an
// empty 415.
func contentTypes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if say := complaint(r); say != "" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnsupportedMediaType)
			fmt.Fprintf(w, `{"code":"invalid_argument","message":%q}`+"\n", say)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// complaint is what is wrong with the language of a request; empty when nothing is.
func complaint(r *http.Request) string {
	contentType := r.Header.Get("Content-Type")
	switch {
	case r.Method != http.MethodPost:
		return ""
	case !spoken(contentType):
		return "send Content-Type: application/json (or application/proto, application/grpc)"
	case streams[r.URL.Path] && unaryOnly(contentType):
		return "the answer is a stream: send Content-Type: application/connect+json (or application/connect+proto, application/grpc, " +
			"application/grpc-web), with the message in an envelope"
	}
	return ""
}

// spoken says whether the content type is one that the protocols know, in UTF-8.
func spoken(contentType string) bool {
	kind, params, err := mime.ParseMediaType(contentType)
	if charset := params["charset"]; err != nil || (charset != "" && !strings.EqualFold(charset, "utf-8")) {
		return false
	}
	switch kind {
	case "application/json", "application/proto", "application/connect+json", "application/connect+proto",
		"application/grpc", "application/grpc+json", "application/grpc+proto",
		"application/grpc-web", "application/grpc-web+json", "application/grpc-web+proto":
		return true
	}
	return false
}

// unaryOnly says whether the content type, one that is spoken, is of calls that are answered once.
func unaryOnly(contentType string) bool {
	kind, _, _ := mime.ParseMediaType(contentType) // It was parsed before.
	return kind == "application/json" || kind == "application/proto"
}
