package app

import (
	"net"
	"net/http"
	"strings"
)

// onlyLocalNames refuses requests to a loopback admin address whose Host names another one. A page in the operator's browser can let its own name
// resolve to 127.0.0.1 (DNS rebinding): it would read metrics and profiles, which have no authentication.
func (a *App) onlyLocalNames(next http.Handler) http.Handler {
	if !onLoopback(a.admin) {
		return next // It is reached by names that are not known here.
	}
	own, _, _ := net.SplitHostPort(a.cfg.Admin.Listen) // Validate has checked it.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocalName(r.Host, own) {
			http.Error(w, "this address serves only requests to localhost, to a loopback address, or to the host of --admin", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocalName reports whether the Host of a request, with or without a port, is a loopback address or name, or the host of --admin. An empty one
// comes from a client of HTTP/1.0, which is no browser.
func isLocalName(host, own string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.ToLower(strings.Trim(name, "[]")), ".")
	return name == "" || strings.HasSuffix(name, ".localhost") || strings.EqualFold(name, own) || isLoopback(name)
}
