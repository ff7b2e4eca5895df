package app

import (
	"bytes"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillway/spillway/reread"
	"github.com/spillway/spillway/test/realparts"
)

// encrypted serves HTTP/1.1 and HTTP/2 with a certificate for 127.0.0.1 that signs itself, which is in the file authority.
func encrypted(t *testing.T) (url, authority string) {
	t.Helper()
	cert, key := realparts.Certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Proto)) }))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	s.EnableHTTP2, s.Config.ErrorLog = true, slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, cert
}

// TestRemotes_AuthoritiesReadAgain: a new authority counts for the next connection of the same client, without a restart, and an old one does not any more. A
// certificate for another host is refused although a trusted authority has signed it.
func TestRemotes_AuthoritiesReadAgain(t *testing.T) {
	t.Parallel()
	first, firstCA := encrypted(t)
	second, secondCA := encrypted(t)
	for scheme, protocol := range map[string]string{"https": "HTTP/2.0", "grpcs": "HTTP/2.0"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "ca.pem")
			trust := func(from ...string) {
				t.Helper()
				var all []byte
				for _, name := range from {
					text, err := os.ReadFile(name)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, text...)
				}
				if err := errors.Join(os.WriteFile(file+".next", all, 0o600), os.Rename(file+".next", file)); err != nil {
					t.Fatal(err)
				}
			}
			trust(firstCA)
			var looks atomic.Int64
			var log bytes.Buffer
			roots, err := RemoteConfig{CAFile: file}.authorities(slog.New(slog.NewTextHandler(&log, nil)), func() time.Time {
				return time.Unix(0, 0).Add(time.Duration(looks.Add(1)) * reread.Interval) // Each look is due.
			})
			if err != nil {
				t.Fatal(err)
			}
			at, err := parseEndpoint("--payment-url", scheme+"://127.0.0.1:1")
			if err != nil {
				t.Fatal(err)
			}
			transport := at.transport(roots)
			get := func(url string) error {
				defer transport.CloseIdleConnections()
				return getOver(t, transport, url, protocol)
			}
			var untrusted *tls.CertificateVerificationError
			if err1, err2 := get(first), get(second); err1 != nil || !errors.As(err2, &untrusted) {
				t.Errorf("with the first authority: %v, %v", err1, err2)
			}
			if err := get(strings.Replace(first, "127.0.0.1", "localhost", 1)); !errors.As(err, &untrusted) || !strings.Contains(err.Error(), "localhost") {
				t.Errorf("a certificate for another host: %v", err)
			}
			if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := get(first); err != nil {
				t.Errorf("after a broken file: %v", err)
			}
			trust(firstCA, secondCA)
			if err1, err2 := get(first), get(second); err1 != nil || err2 != nil {
				t.Errorf("with both authorities: %v, %v", err1, err2)
			}
			trust(secondCA)
			if err1, err2 := get(first), get(second); !errors.As(err1, &untrusted) || err2 != nil {
				t.Errorf("with the second authority: %v, %v", err1, err2)
			}
			if err := get(strings.Replace(second, "127.0.0.1", "localhost", 1)); !errors.As(err, &untrusted) {
				t.Errorf("a certificate for another host, by the new authority: %v", err)
			}
			if got := strings.Count(log.String(), "was read again"); got != 2 || !strings.Contains(log.String(), "authorities of services") {
				t.Errorf("the log: %s", log.String())
			}
		})
	}
}

func getOver(t *testing.T, transport *http.Transport, url, protocol string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.Proto != protocol {
		t.Errorf("it is %s; want %s", resp.Proto, protocol)
	}
	return nil
}
