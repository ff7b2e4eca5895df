package app

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/doctor"
	"github.com/spillway/spillway/test/realparts"
)

// runCurrency runs a process with the rates, whose internal port speaks TLS if there is a certificate.
func runCurrency(t *testing.T, cert, key string) (url string) {
	t.Helper()
	c := alone(serviceCurrency, needsNothing)
	c.HTTP.Listen, c.Internal = "127.0.0.1:0", InternalConfig{Listen: "127.0.0.1:0", CertFile: cert, KeyFile: key}
	a, err := Open(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a.InternalURL()
}

// TestDiagnose_Services: the doctor calls the services at URLs as the process would, and tells a port that nobody listens on from one without TLS, an
// authority that is not known, another service, a foreign token and one that expires.
func TestDiagnose_Services(t *testing.T) {
	t.Parallel()
	cert, key := realparts.Certificate(t)
	secure, plain := runCurrency(t, cert, key), runCurrency(t, "", "")
	mint := func(key string, ttl time.Duration, roles ...auth.Role) string {
		t.Helper()
		tokens, err := auth.NewTokens([]byte(strings.Repeat(key, auth.MinKeyBytes)))
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := tokens.Mint(auth.Caller{Customer: "shipping", Roles: roles}, ttl)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := mint("k", 1000*time.Hour, auth.Service)
	for name, c := range map[string]struct {
		remote     RemoteConfig
		check      string
		status     doctor.Status
		found, fix string
	}{
		"plain":            {RemoteConfig{Currency: plain}, "services.token", doctor.OK, "accepted", ""},
		"TLS":              {RemoteConfig{Currency: secure, CAFile: cert}, "services.token", doctor.OK, "accepted", ""},
		"gRPC over TLS":    {RemoteConfig{Currency: "grpcs" + strings.TrimPrefix(secure, "https"), CAFile: cert}, "services.token", doctor.OK, "accepted", ""},
		"a token":          {RemoteConfig{Currency: plain, Token: good}, "services.token", doctor.OK, "until", ""},
		"no authority":     {RemoteConfig{Currency: secure}, "services.reachable", doctor.Fail, "certificate", "--service-ca-file"},
		"no TLS there":     {RemoteConfig{Currency: "https" + strings.TrimPrefix(plain, "http")}, "services.reachable", doctor.Fail, "currency at", "speaks no TLS"},
		"TLS there":        {RemoteConfig{Currency: "http" + strings.TrimPrefix(secure, "https")}, "services.reachable", doctor.Fail, "currency at", "--currency-url"},
		"nobody":           {RemoteConfig{Currency: "http://127.0.0.1:1"}, "services.reachable", doctor.Fail, "refused", "must run"},
		"gRPC, nobody":     {RemoteConfig{Currency: "grpc://127.0.0.1:1"}, "services.reachable", doctor.Fail, "refused", "must run"},
		"a foreign token":  {RemoteConfig{Currency: plain, Token: mint("x", time.Hour, auth.Service)}, "services.token", doctor.Fail, "currency do not accept", "--role service"},
		"a customer":       {RemoteConfig{Currency: plain, Token: mint("k", time.Hour)}, "services.token", doctor.Fail, "currency do not accept", "--role service"},
		"a token for long": {RemoteConfig{Currency: plain, Token: mint("k", time.Hour, auth.Service)}, "services.token", doctor.Warn, "expires at", "--role service"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantServices(t, c.remote, c.check, c.status, c.found, c.fix)
		})
	}
	// The rates are no catalogue.
	cfg := alone(serviceCart, needsRedis)
	cfg.Remote = RemoteConfig{Currency: plain, Catalog: plain}
	line := servicesLine(t, cfg, "services.reachable")
	if line.Status != doctor.Fail || !strings.Contains(line.Fix, "--services catalog") || strings.Contains(line.Found, "currency at") {
		t.Errorf("%+v", line)
	}
}

func servicesLine(t *testing.T, c Config, check string) (line doctor.Line) {
	t.Helper()
	c.HTTP.Listen = "127.0.0.1:0"
	cfg, err := c.diagnosis(nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.SQL, cfg.Redis = nil, nil // They are not what is tested.
	for _, l := range doctor.Run(t.Context(), cfg).Checks {
		if l.Name == check {
			line = l
		}
	}
	return line
}

func wantServices(t *testing.T, remote RemoteConfig, check string, status doctor.Status, found, fix string) {
	t.Helper()
	cfg := alone(serviceShipping, needsSQL)
	cfg.Remote = remote
	if l := servicesLine(t, cfg, check); l.Status != status || !strings.Contains(l.Found, found) || !strings.Contains(l.Fix, fix) {
		t.Errorf("%s: %s, %q, fix %q; want %s with %q and %q", check, l.Status, l.Found, l.Fix, status, found, fix)
	}
	if l := servicesLine(t, cfg, check); remote.Token != "" && strings.Contains(l.Found+l.Fix, remote.Token) {
		t.Errorf("the result has the token: %+v", l)
	}
}

// TestServiceProbes: every service that can have a URL has a probe.
func TestServiceProbes(t *testing.T) {
	t.Parallel()
	for name := range remoteFlags {
		if serviceProbes[name] == nil {
			t.Errorf("%s has no probe", name)
		}
	}
}

// TestDiagnose_KeyOfTokens: a process that only signs the tokens that it sends needs a key that cannot be guessed, like one that verifies them.
func TestDiagnose_KeyOfTokens(t *testing.T) {
	t.Parallel()
	c := alone(workerMailer, needsQueue)
	for url, want := range map[string]doctor.Status{"": doctor.Skipped, "http://127.0.0.1:1": doctor.Fail} {
		c.Remote.Email, c.Auth.Key = url, strings.Repeat("k", auth.MinKeyBytes)
		if l := servicesLine(t, c, "process.auth-key"); l.Status != want {
			t.Errorf("with the URL %q: %+v, want %s", url, l, want)
		}
	}
}

// TestDiagnose_InternalPortOfRunningProcess: the doctor, run beside the process, does not take it for another program.
func TestDiagnose_InternalPortOfRunningProcess(t *testing.T) {
	t.Parallel()
	cert, key := realparts.Certificate(t)
	for name, in := range map[string]InternalConfig{"plain": {}, "TLS": {CertFile: cert, KeyFile: key}} {
		_, addr, _ := strings.Cut(runCurrency(t, in.CertFile, in.KeyFile), "://")
		in.Listen = addr
		cfg := alone(serviceCurrency, needsNothing)
		cfg.Internal = in
		if l := servicesLine(t, cfg, "process.internal"); l.Status != doctor.OK || !strings.Contains(l.Found, "already") {
			t.Errorf("%s: %+v; want a shop that listens already", name, l)
		}
	}
}
