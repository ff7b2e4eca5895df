package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spillway/spillway/server"
)

// RemoteConfig locates services that other processes serve, each by the URL of its internal port. https:// and http:// are Connect, grpcs:// and grpc:// are gRPC; http
// and grpc are without TLS. A service without a URL is called in process, as is one that the process serves.
type RemoteConfig struct {
	Payment, Shipping, Email, Cart, Catalog, Currency string

	Token string // a bearer token with the role service; empty: the process makes its own with the shop's key
	// TokenFile is the file that Token was read from, and is read again from when it changes; empty: Token stays.
	TokenFile string

	CAFile string // PEM file of the authorities that sign the certificates; empty: those of the system
}

// remoteFlags are the flags of the URLs, by service.
var remoteFlags = map[string]string{
	servicePayment: "--payment-url", serviceShipping: "--shipping-url", serviceEmail: "--email-url",
	serviceCart: "--cart-url", serviceCatalog: "--catalog-url", serviceCurrency: "--currency-url",
}

// url is the URL of a service; empty if it has none.
func (c RemoteConfig) url(service string) string {
	return map[string]string{
		servicePayment: c.Payment, serviceShipping: c.Shipping, serviceEmail: c.Email,
		serviceCart: c.Cart, serviceCatalog: c.Catalog, serviceCurrency: c.Currency,
	}[service]
}

// remoteSchemes are the schemes of URLs: whether it is gRPC, and whether it has TLS.
var remoteSchemes = map[string]struct{ grpc, tls bool }{
	"http": {}, "https": {tls: true}, "grpc": {grpc: true}, "grpcs": {grpc: true, tls: true},
}

// endpoint is a parsed URL of a service.
type endpoint struct {
	base      string // http:// or https://
	grpc, tls bool
	host      string
}

// parseEndpoint parses a URL. Its errors do not quote it, because it may have a password by mistake.
func parseEndpoint(flag, text string) (endpoint, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || !validPort(u) || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return endpoint{}, fmt.Errorf("%s: must be SCHEME://HOST:PORT", flag)
	}
	scheme, ok := remoteSchemes[u.Scheme]
	if !ok {
		return endpoint{}, fmt.Errorf("%s: the scheme must be http or https (Connect), or grpc or grpcs (gRPC)", flag)
	}
	out := endpoint{base: "http://" + u.Host, grpc: scheme.grpc, tls: scheme.tls, host: u.Hostname()}
	if out.tls {
		out.base = "https://" + u.Host
	}
	return out, nil
}

// validPort reports whether the URL has a port that exists, or leaves it to the scheme.
func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0
}

// isLocal reports whether the service is on this machine: then its calls need no TLS.
func (e endpoint) isLocal() bool { return isLoopback(e.host) }

// validateRemote checks the URLs, and that there is a token for those that the process calls.
func (c Config) validateRemote() error {
	var errs []error
	encrypted := false
	for _, name := range serviceNames {
		text := c.Remote.url(name)
		if text == "" {
			continue
		}
		e, err := parseEndpoint(remoteFlags[name], text)
		errs = append(errs, err)
		encrypted = encrypted || e.tls
	}
	if c.Remote.CAFile != "" && !encrypted {
		errs = append(errs, errors.New("--service-ca-file needs a URL with TLS, such as --payment-url https://…"))
	}
	errs = append(errs, trust(&tls.Config{MinVersion: tls.VersionTLS12}, "--service-ca-file", c.Remote.CAFile))
	if err := validToken(c.Remote.Token); err != nil {
		errs = append(errs, fmt.Errorf("--service-token: %w", err))
	}
	if len(c.needs().remote) > 0 && c.Remote.Token == "" && c.Auth.Key == "" {
		errs = append(errs, errors.New("--payment-url and the like need --service-token (SPILLWAY_SERVICE_TOKEN), or the shop's --auth-key to make one"))
	}
	return errors.Join(errs...)
}

// InternalConfig configures the port for the shop's other processes: RoleServe.
type InternalConfig struct {
	Listen            string // HOST:PORT; empty: none
	CertFile, KeyFile string // PEM files for TLS; empty: without
}

// validateInternal checks the internal port, and that a process which serves nothing else has one.
func (c Config) validateInternal() error {
	in := c.Internal
	var errs []error
	if (in.CertFile == "") != (in.KeyFile == "") {
		errs = append(errs, errors.New("--internal-cert-file and --internal-key-file go together"))
	}
	if in.CertFile != "" && in.Listen == "" {
		errs = append(errs, errors.New("--internal-cert-file needs --internal-listen"))
	}
	if in.Listen != "" {
		_, err := in.certificates(slog.New(slog.DiscardHandler))
		errs = append(errs, hostPort("--internal-listen", in.Listen), err)
	}
	if in.Listen == "" && !c.public() {
		errs = append(errs, fmt.Errorf("--services %s: only other processes call it, so it needs --internal-listen", strings.Join(c.served(), ",")))
	}
	if in.Listen != "" && !slices.ContainsFunc(c.served(), func(name string) bool { return remoteFlags[name] != "" }) {
		errs = append(errs, fmt.Errorf("--internal-listen: no process calls --services %s", strings.Join(c.served(), ",")))
	}
	return errors.Join(errs...)
}

// certificates reads the port's certificate; nil without one.
func (c InternalConfig) certificates(log *slog.Logger) (*server.Certificates, error) {
	if c.CertFile == "" || c.KeyFile == "" {
		return nil, nil //nolint:nilnil // There is none.
	}
	certificates, err := server.NewCertificates(c.CertFile, c.KeyFile, log)
	if err != nil {
		return nil, fmt.Errorf("--internal-cert-file and --internal-key-file: %w", err)
	}
	return certificates, nil
}
