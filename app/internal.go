package app

import (
	"context"

	"connectrpc.com/connect"
	"connectrpc.com/otelconnect"

	"github.com/spillway/spillway/server"
)

// InternalURL is the address of the internal port, "http://HOST:PORT" or "https://HOST:PORT"; empty without one.
func (a *App) InternalURL() string { return urlOf(a.internal, a.internalCertificates != nil) }

// serveInternal serves the internal port until ctx ends and every accepted call is completed.
func (a *App) serveInternal(ctx context.Context) error {
	traced, err := otelconnect.NewInterceptor(otelconnect.WithTrustRemote())
	if err != nil {
		return err
	}
	h := server.NewInternalHandler(server.InternalConfig{
		Tokens: a.tokens, Ready: a.deps.ready(), Log: a.log, Interceptors: []connect.Interceptor{traced},
	}, a.api.internal)
	a.log.InfoContext(ctx, "serving other processes", "url", a.InternalURL(), "services", a.cfg.served())
	if a.internalCertificates != nil {
		return server.ServeTLS(ctx, a.internal, h, a.internalCertificates.Config(), a.cfg.HTTP.DrainTimeout, a.log)
	}
	return server.Serve(ctx, a.internal, h, a.cfg.HTTP.DrainTimeout, a.log)
}

// listenInternal opens the internal port, if there is one.
func (a *App) listenInternal(ctx context.Context) (err error) {
	in := a.cfg.Internal
	if in.Listen == "" {
		return nil
	}
	if a.internalCertificates, err = in.certificates(a.log); err != nil {
		return err
	}
	if a.internal, err = a.listen(ctx, "--internal-listen", in.Listen); err != nil {
		return err
	}
	a.internal = a.cfg.HTTP.boundedInternal(a.internal, a.log)
	return nil
}
