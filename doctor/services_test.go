package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/spillway/spillway/test/realparts"
)

// service is one that responds to the probe with err.
func service(name string, err error) Service {
	return Service{
		Name: name, URL: "http://10.0.0.7:9001", TLS: true, Probe: func(context.Context) error { return err },
		Advice: func(err error) string { return "look after " + err.Error() },
	}
}

func calling(services ...Service) *session { return newSession(Config{Services: services}) }

func TestServices_Reachable(t *testing.T) {
	t.Parallel()
	want(t, calling(service("cart", nil), service("payment", nil)), "services.reachable", OK, "cart, payment respond", "")
	want(
		t,
		calling(service("cart", nil), service("payment", errors.New("refused"))),
		"services.reachable",
		Fail,
		"payment at http://10.0.0.7:9001: refused",
		"look after refused",
	)
	// A token that is refused is found by the next check: the service is reached.
	want(t, calling(service("cart", fmt.Errorf("%w: denied", ErrTokenRefused))), "services.reachable", OK, "", "")
	// A frozen service ends with its own error, in time, and with it the check.
	frozen := service("cart", nil)
	frozen.Probe = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	s := calling(frozen, service("payment", nil))
	s.timeout = 100 * time.Millisecond
	want(t, s, "services.reachable", Fail, "cart at", "look after")
	if r := newSession(Config{}).report(t.Context(), serviceChecks); r.Skipped != len(serviceChecks) {
		t.Errorf("without services: %+v", r)
	}
}

func TestServices_Token(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	with := func(expires time.Time, refused ...string) *session {
		s := calling(service("cart", nil))
		s.cfg.TokenExpires, s.refused, s.now = expires, refused, func() time.Time { return now }
		return s
	}
	want(t, with(time.Time{}), "services.token", OK, "accepted", "")
	want(t, with(now.Add(365*24*time.Hour)), "services.token", OK, "until 2028", "")
	want(t, with(now.Add(time.Hour)), "services.token", Warn, "expires at", "--role service")
	want(t, with(now), "services.token", Fail, "has expired", "--service-token-file")
	want(t, with(time.Time{}, "cart", "payment"), "services.token", Fail, "cart, payment do not accept", "--role service")
}

func TestServices_TLS(t *testing.T) {
	t.Parallel()
	plain, local := service("payment", nil), service("cart", nil)
	plain.TLS, local.TLS, local.Local = false, false, true
	want(t, calling(plain, local), "services.tls", Warn, "calls to payment at http://10.0.0.7:9001 leave", "--internal-cert-file")
	want(t, calling(local, service("email", nil)), "services.tls", OK, "", "")
}

func TestProcess_InternalPorts(t *testing.T) {
	t.Parallel()
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"breakers":{}}`)) }))
	defer shop.Close()
	at := shop.Listener.Addr().String()
	want(t, of(func(*Config) {}), "process.internal", Skipped, "", "")
	want(t, of(func(c *Config) { c.Process.Internal = at }), "process.internal", OK, "already", "")
	want(t, of(func(c *Config) { c.Process.Internal = "0.0.0.0:0" }), "process.internal", Warn, "plain text", "--internal-cert-file")
	want(t, of(func(c *Config) { c.Process.Internal, c.Process.InternalTLS = "0.0.0.0:0", true }), "process.internal", OK, "free", "")
	want(t, of(func(c *Config) { c.Process.Internal = "192.0.2.1:9001" }), "process.internal", Fail, "192.0.2.1", "--internal-listen")
	want(t, of(func(*Config) {}), "process.online-boutique", Skipped, "", "")
	want(t, of(func(c *Config) { c.Process.Boutique = at }), "process.online-boutique", OK, "already", "")
	want(t, of(func(c *Config) { c.Process.Boutique = "0.0.0.0:0" }), "process.online-boutique", Warn, "any of its users", "NetworkPolicy")
}

func TestProcess_Certificates(t *testing.T) {
	t.Parallel()
	cert, key := realparts.Certificate(t) // It is valid for a day.
	_, other := realparts.Certificate(t)
	at := func(now time.Time, key string) *session {
		s := of(func(c *Config) {
			c.Process.Certificates = []Certificate{{Flag: "--internal-cert-file", CertFile: cert, KeyFile: key}}
		})
		s.now = func() time.Time { return now }
		return s
	}
	now := time.Now()
	want(t, of(func(*Config) {}), "process.certificates", Skipped, "", "")
	want(t, at(now, key), "process.certificates", Warn, "expires at", "--internal-cert-file")
	want(t, at(now.Add(48*time.Hour), key), "process.certificates", Fail, "has expired", "read")
	want(t, at(now.Add(-48*time.Hour), key), "process.certificates", Fail, "is valid from", "")
	want(t, at(now.Add(-48*time.Hour), other), "process.certificates", Fail, "--internal-cert-file", "renew")
	s := at(now, key)
	s.certificateSoon = time.Hour
	want(t, s, "process.certificates", OK, "1 are valid", "")
	chmod(t, key, 0o644)
	want(t, s, "process.certificates", Warn, "(644)", "chmod 600")
}
