package server

import (
	"net/http"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/order"
)

// rpcErrors writes the errors of requests that do not reach a procedure, in the protocol of their caller.
type rpcErrors struct{ writer *connect.ErrorWriter }

func newRPCErrors() rpcErrors { return rpcErrors{connect.NewErrorWriter()} }

// write sends the refusal. The HTTP status is that of Connect's unary calls; the other protocols have their own.
func (e rpcErrors) write(w http.ResponseWriter, r *http.Request, f refusal, status int) {
	if isRPC(r) && !isUnary(r) {
		status = http.StatusOK
	}
	_ = e.writer.Write(statusWriter{w, status}, r, f.connectError(r.Context())) // The client may be gone.
}

// statusWriter replaces the status of a response.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader sends the status of the statusWriter.
func (w statusWriter) WriteHeader(int) { w.ResponseWriter.WriteHeader(w.status) }

// isRPC reports whether the request is a call in one of the protocols.
func isRPC(r *http.Request) bool {
	if r.Method == http.MethodGet {
		return r.Header.Get("Connect-Protocol-Version") != "" || r.URL.Query().Get("connect") != ""
	}
	return r.Method == http.MethodPost && isProtocol(r.Header.Get("Content-Type"))
}

// isUnary reports whether the call, one of isRPC, is a unary one of Connect's.
func isUnary(r *http.Request) bool {
	return r.Method == http.MethodGet || isUnaryType(r.Header.Get("Content-Type"))
}

// procedures serves the procedures of one service. A call of a procedure that it does not have gets `unimplemented`, and any other request
// below its path a plain 404.
func procedures(errs rpcErrors, next http.Handler) http.Handler {
	return knownProcedures(errs, next, func(procedure string) bool {
		_, known := permissions[procedure]
		return known
	})
}

// knownProcedures is procedures for the procedures that are known.
func knownProcedures(errs rpcErrors, next http.Handler, known func(procedure string) bool) http.Handler {
	next = cacheHeaders(contentTypes(errs, boundBody(errs, withErrorBody(next))))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !known(r.URL.Path) {
			errs.notFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// notFound is the response at a path where nothing is served: `unimplemented` to a call, otherwise a plain 404.
func (e rpcErrors) notFound(w http.ResponseWriter, r *http.Request) {
	if isRPC(r) {
		e.write(w, r, notServed(r.URL.Path), http.StatusNotFound)
		return
	}
	http.Error(w, "There is nothing at this path. Procedures look like POST /spillway.v1.CatalogService/ListProducts.", http.StatusNotFound)
}

// notServed is the refusal of a call of a procedure that does not exist, or not in this process.
func notServed(procedure string) refusal {
	return refusal{
		code: connect.CodeUnimplemented, reason: order.ReasonProcedureNotServed, metadata: map[string]string{metaProcedure: procedure},
		text: "there is no procedure " + procedure + "; procedures look like /spillway.v1.CatalogService/ListProducts",
	}
}
