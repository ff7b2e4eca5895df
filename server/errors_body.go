package server

import (
	"context"
	"errors"
	"io"
	"net/http"

	"connectrpc.com/connect"
)

// bodyHeader hands the body of an error from the interceptor that encodes it to the response writer, through the headers of a Connect error.
// It is not a valid name of a header, so that no client can send it, and net/http would not write it.
const bodyHeader = ":error-body"

// errorBodies encodes the errors of Connect's unary calls that appendErrorBody handles. Connect would marshal each detail to protobuf and to
// JSON by reflection, which costs more than all the rest of a refusal, and a shop that is sold out sends little else. The
// interceptors outside see such an error without details: its code, its text, and as a *refusalError its reason.
func errorBodies() connect.Interceptor {
	return interceptor{
		unary: func(next connect.UnaryFunc) connect.UnaryFunc {
			return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
				resp, err := next(ctx, req)
				if err == nil || req.Peer().Protocol != connect.ProtocolConnect {
					return resp, err
				}
				encodeBody(err)
				return resp, err
			}
		},
	}
}

// encodeBody makes the *connect.Error of a refusal one with its body in the headers, and without details, if the body can be encoded.
func encodeBody(err error) {
	var refused *refusalError
	if !errors.As(err, &refused) {
		return
	}
	body, ok := encodeErrorBody(refused.refusal, refused.requestID)
	if !ok {
		return
	}
	refused.built = connect.NewError(refused.code, textError(refused.text))
	refused.setHeaders(refused.built.Meta())
	refused.built.Meta()[bodyHeader] = []string{body}
}

// errorBodyWriter replaces the body of an error by that in bodyHeader. Connect calls WriteHeader and then Write with the body, once.
type errorBodyWriter struct {
	http.ResponseWriter
	body string
}

// withErrorBody lets errorBodies write the bodies of the errors of Connect's unary calls, and only of those.
func withErrorBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !streams[r.URL.Path] && isUnary(r) {
			w = &errorBodyWriter{ResponseWriter: w}
		}
		next.ServeHTTP(w, r)
	})
}

// Unwrap is for http.ResponseController.
func (w *errorBodyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader takes the body out of the headers.
func (w *errorBodyWriter) WriteHeader(status int) {
	if body := w.Header()[bodyHeader]; len(body) > 0 {
		w.body = body[0]
		delete(w.Header(), bodyHeader)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes the body of the headers instead of p, if there was one.
func (w *errorBodyWriter) Write(p []byte) (int, error) {
	if w.body == "" {
		return w.ResponseWriter.Write(p)
	}
	if _, err := io.WriteString(w.ResponseWriter, w.body); err != nil {
		return 0, err
	}
	w.body = ""
	return len(p), nil
}
