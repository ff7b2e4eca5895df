package app

import (
	"context"
	"crypto/tls"

	"connectrpc.com/connect"
	"connectrpc.com/otelconnect"

	"github.com/spillway/spillway/server"
)

// InternalURL is the address of the internal port, "http://HOST:PORT" or "https://HOST:PORT"; empty without one.
func (a *App) InternalURL() string { return urlOf(a.internal, a.cfg.Internal.CertFile != "") }

// serveInternal serves the internal port until ctx ends and every accepted call is completed.
func (a *App) serveInternal(ctx context.Context) error {
	encrypted, err := a.cfg.Internal.tls()
	if err != nil {
		return err
	}
	traced, err := otelconnect.NewInterceptor(otelconnect.WithTrustRemote())
	if err != nil {
		return err
	}
	l := a.internal
	if encrypted != nil {
		l = tls.NewListener(l, encrypted)
	}
	a.log.InfoContext(ctx, "serving other processes", "url", a.InternalURL(), "services", a.cfg.served())
	return server.Serve(ctx, l, server.NewInternalHandler(server.InternalConfig{
		Tokens: a.tokens, Ready: a.deps.ready(), Log: a.log, Interceptors: []connect.Interceptor{traced},
	}, a.api.internal), a.cfg.HTTP.DrainTimeout, a.log)
}
