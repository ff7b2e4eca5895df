package server

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/spillway/spillway/auth"
)

// earlyRefusal refuses calls before their bodies are read.
type earlyRefusal struct {
	tokens  *auth.Tokens
	trusted []netip.Prefix
	errs    rpcErrors
	// refused logs and counts a refusal.
	refused func(ctx context.Context, procedure string, err error)
}

// refuseEarly refuses the calls of an address that has made all that it may, before anything of their bodies is read: a flood would have the process wait for
// bodies, and hold them, to refuse them. It takes nothing of the limits, which authenticate and intercept do once the body is there. On HTTP/1.1 net/http reads the body, and drops it, before it sends the response, so that the connection can be
// used again. A nil *CallRates has no limits.
func (r *CallRates) refuseEarly(procedure string, early earlyRefusal, next http.Handler) http.Handler {
	if r == nil {
		return next
	}
	addresses := r.addressReads
	if writes[procedure] {
		addresses = r.addressWrites
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		addr := clientAddress(req.RemoteAddr, req.Header, early.trusted)
		err := addresses.spent(addr, r.now())
		if err == nil || !limited(addr) || !isRPC(req) || early.spares(req) {
			next.ServeHTTP(w, req)
			return
		}
		addresses.refused.Add(1)
		f := refusalOf(err)
		early.refused(req.Context(), procedure, f.connectError(req.Context()))
		early.errs.write(w, req, f, http.StatusTooManyRequests)
	})
}

// spares reports whether the limits do not apply to the caller. They do to one whose token is not good.
func (e earlyRefusal) spares(req *http.Request) bool {
	header := req.Header.Get("Authorization")
	if header == "" {
		return false
	}
	caller, err := callerOf(e.tokens, header)
	return err == nil && exempt(caller)
}

// exempt reports whether the limits do not apply to the caller.
func exempt(caller auth.Caller) bool {
	return caller.Has(auth.Operator, auth.OperatorRead, auth.Service)
}

// limited reports whether the limits apply to an address: it is known, and not of this machine.
func limited(addr netip.Addr) bool { return addr.IsValid() && !addr.IsLoopback() }
