package doctor

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"github.com/spillway/spillway/requestid"
)

func checkListen(ctx context.Context, s *session) Result {
	return checkPort(ctx, s.cfg.Process.Listen, "--listen (SPILLWAY_LISTEN)")
}

func checkAdmin(ctx context.Context, s *session) Result {
	p := s.cfg.Process
	r := checkPort(ctx, p.Admin, "--admin (SPILLWAY_ADMIN)")
	if p.Admin == "" || r.Status != OK || isLoopback(hostOf(p.Admin)) {
		return r
	}
	const fix = "let only Prometheus and operators reach it: a firewall, a NetworkPolicy, or --admin 127.0.0.1:9464"
	if p.Pprof {
		return warn("leave out --admin-pprof (SPILLWAY_ADMIN_PPROF); "+fix, "%s; everyone who reaches it reads metrics, errors and memory (profiles)", r.Found)
	}
	return warn(fix, "%s; everyone who reaches it reads metrics and errors", r.Found)
}

// checkPort opens the port for a moment. One that is in use is queried.
func checkPort(ctx context.Context, addr, flag string) Result {
	if addr == "" {
		return unused("this process does not listen there")
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	switch {
	case err == nil:
		_ = l.Close()
		return ok("%s is free", addr)
	case !errors.Is(err, syscall.EADDRINUSE):
		return fail("name an address of this machine and a port that this user may open: "+flag, "%v", err)
	case isShop(ctx, addr):
		return ok("a shop listens on %s already", addr)
	}
	return fail("stop the other program, or name another port: "+flag, "another program listens on %s", addr)
}

// maxPageBytes bounds the response of the other program.
const maxPageBytes = 64 << 10

// isShop reports whether a Spillway listens on the address: /readyz of an admin address has the states of the breakers, /shop.json of the API's
// port says whether test cards work, and /readyz of the other ports is one of two words.
func isShop(ctx context.Context, addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	at := net.JoinHostPort(host, port)
	return hasField(ctx, "http://"+at+"/readyz", "breakers") || hasField(ctx, "http://"+at+"/shop.json", "testCards") ||
		hasField(ctx, "https://"+at+"/shop.json", "testCards") || isReadiness(ctx, "http://"+at+"/readyz") || isReadiness(ctx, "https://"+at+"/readyz")
}

// hasField reports whether the response is a JSON object with the field.
func hasField(ctx context.Context, page, field string) bool {
	body, _ := read(ctx, page)
	var object map[string]json.RawMessage
	err := json.Unmarshal(body, &object)
	_, found := object[field]
	return err == nil && found
}

// isReadiness reports whether the response is the one word that a port of a shop tells everyone, with the id of the request.
func isReadiness(ctx context.Context, page string) bool {
	body, id := read(ctx, page)
	return id == probeID && (string(body) == "ok\n" || string(body) == "unavailable\n")
}

// probeID is the id of the doctor's requests, which a shop repeats in its response and its log.
const probeID = "spillway-doctor"

// read returns the response and the id of its request; neither if there is none. It sends nothing secret, so that it trusts any certificate: those of a shop have its public
// name.
func read(ctx context.Context, page string) (body []byte, id string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, http.NoBody)
	if err != nil {
		return nil, ""
	}
	req.Header.Set(requestid.Header, probeID)
	client := &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // No secret is sent, and the response is not trusted.
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, ""
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxPageBytes))
	if err != nil {
		return nil, ""
	}
	return body, resp.Header.Get(requestid.Header)
}

func checkPlainAPI(_ context.Context, s *session) Result {
	p := s.cfg.Process
	switch {
	case p.Listen == "":
		return unused("this process does not listen there")
	case isLoopback(hostOf(p.Listen)):
		return ok("%s is reached from this machine only", p.Listen)
	case p.TLS:
		return ok("%s speaks TLS", p.Listen)
	case len(p.Proxies) > 0:
		return ok("%s is behind the proxies %s", p.Listen, strings.Join(p.Proxies, ", "))
	}
	return warn("--tls-cert and --tls-key; or put a proxy that speaks TLS in front, and name it: --trusted-proxies (SPILLWAY_TRUSTED_PROXIES)",
		"%s speaks plain HTTP and no --trusted-proxies are named: cards and tokens may travel in plain text", p.Listen)
}

func checkOrigins(_ context.Context, s *session) Result {
	origins := s.cfg.Process.Origins
	const fix = "name each origin as https://HOST: --cors-origin (SPILLWAY_CORS_ORIGINS)"
	if len(origins) == 0 {
		return ok("no other origin may call the API from a page")
	}
	for _, o := range origins {
		u, err := url.Parse(o)
		switch {
		case strings.Contains(o, "*"):
			return fail(fix, "%s lets pages of foreign origins call the API", o)
		case err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Scheme != "https" && u.Scheme != "http":
			return fail(fix, "%q is no origin, so that no page matches it", o)
		case u.Scheme == "http" && !isLoopback(u.Hostname()):
			return warn(fix, "%s is not HTTPS: anyone on the way changes its pages", o)
		}
	}
	return ok("pages of %s may call the API", strings.Join(origins, ", "))
}

func checkProxies(_ context.Context, s *session) Result {
	proxies := s.cfg.Process.Proxies
	if len(proxies) == 0 {
		return ok("no proxy is trusted; a client's address is that of its connection")
	}
	for _, p := range proxies {
		if strings.HasSuffix(p, "/0") {
			return fail("name the addresses of the proxies only: --trusted-proxies (SPILLWAY_TRUSTED_PROXIES)",
				"%s trusts everyone: a client gets around the limits of an address by a header", p)
		}
	}
	return ok("%s are trusted", strings.Join(proxies, ", "))
}

// hostOf is the host of HOST:PORT, or what there is.
func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}

// isLoopback reports whether the host is this machine, by its loopback address or by a socket in the file system.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || strings.HasPrefix(host, "/") || err == nil && ip.Unmap().IsLoopback()
}

// plainText is a warning for a server on another machine without TLS.
func plainText(what, addr, fix string) Result {
	return warn(fix, "%s at %s is on another machine, and nothing is encrypted on the way: orders, addresses and passwords", what, addr)
}

// localOrTLS is the result of a connection that is encrypted, or need not be.
func localOrTLS(what, addr string, encrypted bool) (r Result, good bool) {
	switch {
	case encrypted:
		return ok("TLS is used"), true
	case isLoopback(hostOf(addr)):
		return ok("%s is on this machine", what), true
	}
	return Result{}, false
}
