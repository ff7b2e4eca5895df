package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateInterval is the least time between two looks at the files of a certificate.
const certificateInterval = time.Second

// Certificates are a certificate and its key in two PEM files, which are read again when they change. It is safe for concurrent use.
type Certificates struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	files   [2]fileVersion // that current was read from, or that could not be used
	looked  time.Time
}

// fileVersion differs when a file was written, or replaced by way of a symbolic link.
type fileVersion struct {
	modified time.Time
	size     int64
}

// NewCertificates reads the files. It fails if they do not belong together.
func NewCertificates(certFile, keyFile string, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{certFile: certFile, keyFile: keyFile, log: log, now: time.Now}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read the certificate and its key: %w", err)
	}
	c.current, c.looked = &pair, c.now()
	c.files, err = c.versions()
	return c, err
}

// Config is the configuration of a server: TLS 1.2 or 1.3, with HTTP/2.
func (c *Certificates) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil }}
}

// get returns the certificate. New files that cannot be used, such as half-written ones, leave the one before in use, and are logged once.
func (c *Certificates) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.looked) < certificateInterval {
		return c.current
	}
	c.looked = now
	files, err := c.versions()
	if err == nil && files == c.files {
		return c.current
	}
	pair, lerr := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	switch err = errors.Join(err, lerr); {
	case err == nil:
		c.current = &pair
		c.log.InfoContext(context.Background(), "the certificate was read again", "file", c.certFile, "until", pair.Leaf.NotAfter)
	case files != c.files:
		c.log.WarnContext(context.Background(), "failed to read the certificate again, the one before stays in use", "file", c.certFile, "error", err)
	}
	c.files = files
	return c.current
}

func (c *Certificates) versions() (out [2]fileVersion, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		var info fs.FileInfo
		if info, err = os.Stat(name); err != nil {
			return out, err
		}
		out[i] = fileVersion{info.ModTime(), info.Size()}
	}
	return out, nil
}
