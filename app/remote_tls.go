package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spillway/spillway/reread"
)

// authorities sign the certificates of services that are trusted: those of --service-ca-file, which is read again when it changes. nil are those of the system.
type authorities = reread.Value[*x509.CertPool]

func (c RemoteConfig) authorities(log *slog.Logger, now func() time.Time) (*authorities, error) {
	if c.CAFile == "" {
		return nil, nil //nolint:nilnil // Those of the system.
	}
	return reread.New(reread.Config[*x509.CertPool]{
		What: "authorities of services", Files: []string{c.CAFile}, Log: log, Now: now,
		Read: func() (*x509.CertPool, error) { return readAuthorities("--service-ca-file", c.CAFile) },
	})
}

// trusting makes each new connection of the transport trust the authorities as they are then: a tls.Config is fixed when the transport uses it first. The
// certificate must name the host that is dialled, as without it.
func trusting(t *http.Transport, roots *authorities) {
	var protocols []string
	if t.Protocols.HTTP2() {
		protocols = append(protocols, "h2")
	}
	if t.Protocols.HTTP1() {
		protocols = append(protocols, "http/1.1")
	}
	t.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		conn, err := t.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		encrypted := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots.Get(), ServerName: host, NextProtos: protocols})
		ctx, cancel := context.WithTimeout(ctx, t.TLSHandshakeTimeout)
		defer cancel()
		if err := encrypted.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("TLS with %s: %w", addr, err)
		}
		return encrypted, nil
	}
}
