package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/spillway/spillway/server"
)

// certificates reads the API's certificate; nil without one.
func (c HTTPConfig) certificates(log *slog.Logger) (*server.Certificates, error) {
	if c.TLSCert == "" {
		return nil, nil //nolint:nilnil // There is no TLS.
	}
	certificates, err := server.NewCertificates(c.TLSCert, c.TLSKey, log)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	return certificates, nil
}

// serveHandler serves the public port until ctx ends and every accepted request is completed.
func (a *App) serveHandler(ctx context.Context, h http.Handler) error {
	drain := a.cfg.HTTP.DrainTimeout
	if a.certificates != nil {
		return server.ServeTLS(ctx, a.listener, h, a.certificates.Config(), drain, a.log)
	}
	a.warnPlainCards(ctx)
	return server.Serve(ctx, a.listener, h, drain, a.log)
}

// warnPlainCards warns of a port without TLS that other machines reach and that takes cards, unless a proxy is named that may speak TLS in front of it.
func (a *App) warnPlainCards(ctx context.Context) {
	if a.local() || a.api.services.Checkout == nil || len(a.cfg.HTTP.TrustedProxies) > 0 {
		return
	}
	a.log.WarnContext(ctx, "card numbers and tokens travel in plain text: give --tls-cert and --tls-key, or name the proxy that speaks TLS by --trusted-proxies",
		"listen", a.listener.Addr().String())
}
