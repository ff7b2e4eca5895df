package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/spillway/spillway/reread"
)

// Certificates are a certificate and its key in two PEM files, which are read again when they change. It is safe for concurrent use.
type Certificates struct {
	pair *reread.Value[*tls.Certificate]
}

// NewCertificates reads the files. It fails if they do not belong together.
func NewCertificates(certFile, keyFile string, log *slog.Logger) (*Certificates, error) {
	return newCertificates(certFile, keyFile, log, time.Now)
}

func newCertificates(certFile, keyFile string, log *slog.Logger, now func() time.Time) (*Certificates, error) {
	pair, err := reread.New(reread.Config[*tls.Certificate]{
		What: "certificate", Files: []string{certFile, keyFile}, Log: log, Now: now,
		Read: func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(certFile, keyFile)
			return &pair, err
		},
		Attrs: func(c *tls.Certificate) []any { return []any{"until", c.Leaf.NotAfter} },
	})
	if err != nil {
		return nil, fmt.Errorf("read the certificate and its key: %w", err)
	}
	return &Certificates{pair}, nil
}

// Config is the configuration of a server: TLS 1.2 or 1.3, with HTTP/2.
func (c *Certificates) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.pair.Get(), nil }}
}
