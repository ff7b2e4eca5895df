package app

import (
	"context"
	"errors"
	"log/slog"

	"connectrpc.com/connect"

	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/doctor"
	spillwayv1 "github.com/spillway/spillway/gen/spillway/v1"
	"github.com/spillway/spillway/gen/spillway/v1/spillwayv1connect"
)

// serviceProbe makes a call that changes nothing.
type serviceProbe func(ctx context.Context) error

// serviceProbes make the probe of each service: a call that the service refuses as not valid after it has accepted the token, or that reads. No service does anything for it.
var serviceProbes = map[string]func(context.Context, *remotes) (serviceProbe, error){
	servicePayment: probing(servicePayment, spillwayv1connect.NewPaymentServiceClient, func(ctx context.Context, c spillwayv1connect.PaymentServiceClient) error {
		_, err := c.GetCharge(ctx, &spillwayv1.GetChargeRequest{})
		return err
	}),
	serviceShipping: probing(
		serviceShipping,
		spillwayv1connect.NewShippingServiceClient,
		func(ctx context.Context, c spillwayv1connect.ShippingServiceClient) error {
			_, err := c.GetQuote(ctx, &spillwayv1.GetQuoteRequest{})
			return err
		},
	),
	serviceEmail: probing(serviceEmail, spillwayv1connect.NewEmailServiceClient, func(ctx context.Context, c spillwayv1connect.EmailServiceClient) error {
		_, err := c.SendOrderMails(ctx, &spillwayv1.SendOrderMailsRequest{}) // Of no mails.
		return err
	}),
	serviceCart: probing(serviceCart, spillwayv1connect.NewCartServiceClient, func(ctx context.Context, c spillwayv1connect.CartServiceClient) error {
		ctx, info := connect.NewClientContext(ctx)
		info.RequestHeader().Set(auth.CustomerHeader, "doctor") // A public port refuses it. The customer has no cart.
		_, err := c.GetCart(ctx, &spillwayv1.GetCartRequest{})
		return err
	}),
	serviceCatalog: probing(serviceCatalog, spillwayv1connect.NewCatalogServiceClient, func(ctx context.Context, c spillwayv1connect.CatalogServiceClient) error {
		_, err := c.GetProducts(ctx, &spillwayv1.GetProductsRequest{})
		return err
	}),
	serviceCurrency: probing(
		serviceCurrency,
		spillwayv1connect.NewCurrencyServiceClient,
		func(ctx context.Context, c spillwayv1connect.CurrencyServiceClient) error {
			_, err := c.GetSupportedCurrencies(ctx, &spillwayv1.GetSupportedCurrenciesRequest{})
			return err
		},
	),
}

func probing[C any](
	service string, newClient func(connect.HTTPClient, string, ...connect.ClientOption) C, call func(context.Context, C) error,
) func(context.Context, *remotes) (serviceProbe, error) {
	return func(ctx context.Context, r *remotes) (serviceProbe, error) {
		client, err := dial(ctx, r, service, newClient)
		return func(ctx context.Context) error { return probed(call(ctx, client)) }, err
	}
}

// probed is nil if the service has accepted the token, whatever it responded then.
func probed(err error) error {
	switch connect.CodeOf(err) { //nolint:exhaustive // The others are failures.
	case connect.CodeInvalidArgument, connect.CodeNotFound, connect.CodeResourceExhausted:
		return nil
	case connect.CodeUnauthenticated, connect.CodePermissionDenied:
		return errors.Join(doctor.ErrTokenRefused, err)
	}
	return err
}

// diagnosedServices are the services that the process calls at URLs.
func (c Config) diagnosedServices(n needs) (out []doctor.Service, err error) {
	r, err := c.diagnosedRemotes()
	if err != nil {
		return nil, err
	}
	for _, name := range serviceNames {
		if !n.remote[name] {
			continue
		}
		at, err := parseEndpoint(remoteFlags[name], c.Remote.url(name))
		if err != nil {
			return nil, err
		}
		probe, err := serviceProbes[name](context.Background(), r)
		if err != nil {
			return nil, err
		}
		out = append(out, doctor.Service{
			Name: name, URL: c.Remote.url(name), TLS: at.tls, Local: at.isLocal(), Probe: probe, Advice: func(err error) string { return remoteAdvice(name, err) },
		})
	}
	return out, nil
}

// diagnosedRemotes makes clients that log nothing.
func (c Config) diagnosedRemotes() (r *remotes, err error) {
	var tokens *auth.Tokens
	if c.Auth.Key != "" {
		if tokens, err = c.Auth.with([]byte(c.Auth.Key)); err != nil {
			return nil, err
		}
	}
	return newRemotes(c.Remote, tokens, slog.New(slog.DiscardHandler))
}

// diagnosedCertificates are those of the ports.
func (c Config) diagnosedCertificates() (out []doctor.Certificate) {
	if c.HTTP.TLSCert != "" {
		out = append(out, doctor.Certificate{Flag: "--tls-cert", CertFile: c.HTTP.TLSCert, KeyFile: c.HTTP.TLSKey})
	}
	if c.Internal.CertFile != "" {
		out = append(out, doctor.Certificate{Flag: "--internal-cert-file", CertFile: c.Internal.CertFile, KeyFile: c.Internal.KeyFile})
	}
	return out
}
