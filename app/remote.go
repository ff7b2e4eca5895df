package app

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/otelconnect"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/cart"
	"github.com/spillway/spillway/catalog"
	"github.com/spillway/spillway/currency"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/shipping"
	"github.com/spillway/spillway/workers"
)

// Here it is decided whether a service is called in this process or at its URL: each connect method replaces what a build method of services.go makes, if the process
// has the service's URL. Both have the same interface, and calls pass the same policies.

// connectRemotes makes the clients of the services behind URLs.
func (b *builder) connectRemotes(ctx context.Context, tokens *auth.Tokens) error {
	if len(b.needs.remote) == 0 {
		return nil
	}
	r, err := newRemotes(b.cfg.Remote, tokens, b.deps.log)
	if err != nil {
		return err
	}
	b.deps.closers = append(b.deps.closers, r.close)
	connect := map[string]func(context.Context, *remotes) error{
		serviceCurrency: b.connectCurrency, serviceEmail: b.connectEmail, servicePayment: b.connectPayment,
		serviceShipping: b.connectShipping, serviceCatalog: b.connectCatalog, serviceCart: b.connectCart,
	}
	for _, name := range serviceNames {
		if !b.needs.remote[name] {
			continue
		}
		if err := connect[name](ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) connectCurrency(ctx context.Context, r *remotes) error {
	client, err := dial(ctx, r, serviceCurrency, spillwayv1connect.NewCurrencyServiceClient)
	if err != nil {
		return err
	}
	b.rates, err = currency.NewRemote(client, b.deps.policies[breaker.Currency], b.deps.log)
	return err
}

func (b *builder) connectEmail(ctx context.Context, r *remotes) (err error) {
	b.mail.Service, err = dial(ctx, r, serviceEmail, spillwayv1connect.NewEmailServiceClient)
	return err
}

// connectPayment lets a call that waits for the service take no place of the checkouts, as if it waited for the provider.
func (b *builder) connectPayment(ctx context.Context, r *remotes) (err error) {
	if b.payments.Service, err = dial(ctx, r, servicePayment, spillwayv1connect.NewPaymentServiceClient, server.OutsideLimitsOf()); err != nil {
		return err
	}
	b.guardCharges()
	return nil
}

func (b *builder) connectShipping(ctx context.Context, r *remotes) error {
	client, err := dial(ctx, r, serviceShipping, spillwayv1connect.NewShippingServiceClient)
	if err != nil {
		return err
	}
	b.quotes = shipping.Client{Service: client, Policy: b.deps.policies[breaker.Shipping]}
	b.carrier = workers.NewCarrierLimiter(workers.DefaultShippingConfig().Concurrency,
		shipping.Client{Service: client, Policy: b.deps.policies[breaker.Handover]})
	return nil
}

func (b *builder) connectCatalog(ctx context.Context, r *remotes) error {
	client, err := dial(ctx, r, serviceCatalog, spillwayv1connect.NewCatalogServiceClient)
	if err != nil {
		return err
	}
	products := catalog.NewClient(client, b.deps.policies[breaker.Catalog])
	b.prices, b.products, b.shown = remotePrices{products}, products, catalog.NewAvailable(products)
	return nil
}

func (b *builder) connectCart(ctx context.Context, r *remotes) error {
	client, err := dial(ctx, r, serviceCart, spillwayv1connect.NewCartServiceClient)
	if err != nil {
		return err
	}
	b.contents = cart.Client{Service: client, Policy: b.deps.policies[breaker.Cart]}
	return nil
}

// remotePolicies are the policies of services that have one only behind a URL.
var remotePolicies = map[string]string{serviceCatalog: breaker.Catalog, serviceCart: breaker.Cart, serviceCurrency: breaker.Currency}

// policiesOf returns the policies of a process.
func policiesOf(n needs) breaker.Policies {
	all := breaker.DefaultPolicies()
	for service, policy := range remotePolicies {
		if !n.remote[service] {
			delete(all, policy)
		}
	}
	return breaker.NewPolicies(all)
}

// remotes makes clients of services behind URLs.
type remotes struct {
	cfg        RemoteConfig
	token      *serviceToken
	roots      *authorities
	traced     connect.Interceptor
	transports []*http.Transport
	log        *slog.Logger
}

func newRemotes(cfg RemoteConfig, tokens *auth.Tokens, log *slog.Logger) (r *remotes, err error) {
	r = &remotes{cfg: cfg, log: log}
	if r.token, err = newServiceToken(cfg, tokens, log); err != nil {
		return nil, err
	}
	if r.traced, err = otelconnect.NewInterceptor(); err != nil {
		return nil, err
	}
	r.roots, err = cfg.authorities(log, time.Now)
	return r, err
}

// dial makes the client of a service; nothing is sent yet. The interceptors are outermost.
func dial[C any](
	ctx context.Context, r *remotes, service string, newClient func(connect.HTTPClient, string, ...connect.ClientOption) C, outer ...connect.Interceptor,
) (client C, err error) {
	at, err := parseEndpoint(remoteFlags[service], r.cfg.url(service))
	if err != nil {
		return client, err
	}
	if !at.tls && !at.isLocal() {
		r.log.WarnContext(ctx, "calls to a service on another machine are not encrypted", "service", service, "flag", remoteFlags[service])
	}
	r.log.InfoContext(ctx, "a service is called at its URL", "service", service, "url", at.base, "grpc", at.grpc)
	transport := at.transport(r.roots)
	r.transports = append(r.transports, transport)
	opts := []connect.ClientOption{
		connect.WithInterceptors(slices.Concat(outer, []connect.Interceptor{r.traced, newRemoteLog(service, r.log), retried(), r.token.intercept()})...),
		connect.WithReadMaxBytes(maxResponseBytes),
	}
	if at.grpc {
		opts = append(opts, connect.WithGRPC())
	}
	return newClient(&http.Client{Transport: sentOrNot{transport}, CheckRedirect: noRedirects}, at.base, opts...), nil
}

// close closes unused connections.
func (r *remotes) close() error {
	for _, t := range r.transports {
		t.CloseIdleConnections()
	}
	return nil
}
