package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/reread"
	"github.com/spillway/spillway/test/realparts"
)

// replace puts the certificate and key of the other files into the place of these, as an administrator or Kubernetes does.
func replace(t *testing.T, from, to [2]string) {
	t.Helper()
	for i := range from {
		text, err := os.ReadFile(from[i])
		if err != nil {
			t.Fatal(err)
		}
		next := to[i] + ".next"
		if err := os.WriteFile(next, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, to[i]); err != nil {
			t.Fatal(err)
		}
	}
}

func pair(t *testing.T) [2]string {
	cert, key := realparts.Certificate(t)
	return [2]string{cert, key}
}

// tlsClient trusts the certificate in the file, and prefers HTTP/2 if it may.
func tlsClient(t *testing.T, file string, http2 bool) *http.Client {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: http2}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// TestServeTLS_ServesBothProtocolsAndNewCertificates: HTTP/2 and HTTP/1.1, nothing without TLS, and a new certificate without a restart.
func TestServeTLS_ServesBothProtocolsAndNewCertificates(t *testing.T) {
	first, second := pair(t), pair(t)
	dir := t.TempDir()
	files := [2]string{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	replace(t, first, files)
	var clock atomic.Int64 // in intervals; the server reads it
	now := func() time.Time { return time.Unix(0, 0).Add(time.Duration(clock.Load()) * reread.Interval) }
	certificates, err := newCertificates(files[0], files[1], discardLog, now)
	if err != nil {
		t.Fatal(err)
	}
	tokens := startServer(t, Services{}).tokens
	l := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- ServeTLS(ctx, l, NewHandler(Config{Tokens: tokens, Log: discardLog}, allServices(t)), certificates.Config(), drainTimeout, discardLog)
	}()
	t.Cleanup(func() {
		stop()
		if err := await(t, "the server to stop", served); err != nil {
			t.Error(err)
		}
	})
	get := func(c *http.Client, scheme string) (protocol int, err error) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+l.Addr().String()+"/livez", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return 0, http.ErrNotSupported
		}
		return resp.ProtoMajor, nil
	}
	for version, http2 := range map[int]bool{1: false, 2: true} {
		if protocol, err := get(tlsClient(t, first[0], http2), "https"); err != nil || protocol != version {
			t.Errorf("HTTP/%d, %v; want HTTP/%d", protocol, err, version)
		}
	}
	if _, err := get(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http"); err == nil {
		t.Error("something is served without TLS")
	}

	// A broken file changes nothing.
	if err := os.WriteFile(files[0], []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	clock.Add(1)
	if _, err := get(tlsClient(t, first[0], true), "https"); err != nil {
		t.Errorf("after a broken file: %v", err)
	}
	replace(t, second, files)
	clock.Add(1)
	if _, err := get(tlsClient(t, second[0], true), "https"); err != nil {
		t.Errorf("with the new certificate: %v", err)
	}
	if _, err := get(tlsClient(t, first[0], true), "https"); err == nil {
		t.Error("the old certificate is still in use")
	}
}

func TestNewCertificates_OfDifferentPairs(t *testing.T) {
	a, b := pair(t), pair(t)
	if _, err := NewCertificates(a[0], b[1], discardLog); err == nil {
		t.Error("a certificate with the key of another one is taken")
	}
}
