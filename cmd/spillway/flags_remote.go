package main

import "github.com/spillway/spillway/app"

// remoteFlags locate services that other processes serve.
type remoteFlags struct {
	Payment  string `name:"payment-url" env:"SPILLWAY_PAYMENT_URL" placeholder:"URL" help:"The payment service in another process: the address of its --internal-listen, as https://HOST:PORT or http://HOST:PORT for Connect, grpcs:// or grpc:// for gRPC. http and grpc are not encrypted: card numbers pass there. Without it, and in a process that serves it, it is called in process."`
	Shipping string `name:"shipping-url" env:"SPILLWAY_SHIPPING_URL" placeholder:"URL" help:"The same of the shipping service."`
	Email    string `name:"email-url" env:"SPILLWAY_EMAIL_URL" placeholder:"URL" help:"The same of the email service."`
	Cart     string `name:"cart-url" env:"SPILLWAY_CART_URL" placeholder:"URL" help:"The same of the carts."`
	Catalog  string `name:"catalog-url" env:"SPILLWAY_CATALOG_URL" placeholder:"URL" help:"The same of the catalogue."`
	Currency string `name:"currency-url" env:"SPILLWAY_CURRENCY_URL" placeholder:"URL" help:"The same of the exchange rates."`

	Token     string `name:"service-token" env:"SPILLWAY_SERVICE_TOKEN" placeholder:"TOKEN" help:"The bearer token that is sent to these, with the role service (spillway token --role service); better set in the environment. Without it, the process makes its own with --auth-key."`
	TokenFile string `name:"service-token-file" env:"SPILLWAY_SERVICE_TOKEN_FILE" secret:"service-token" placeholder:"PATH" help:"A file that holds it. It is read again when it changes."`
	CAFile    string `name:"service-ca-file" env:"SPILLWAY_SERVICE_CA_FILE" placeholder:"PATH" help:"The PEM file of the authorities that sign the certificates of these, instead of the system's."`
}

func (f remoteFlags) config() app.RemoteConfig {
	return app.RemoteConfig{
		Payment: f.Payment, Shipping: f.Shipping, Email: f.Email, Cart: f.Cart, Catalog: f.Catalog, Currency: f.Currency,
		Token: f.Token, TokenFile: f.TokenFile, CAFile: f.CAFile,
	}
}

// internalFlags configure the port for other processes.
type internalFlags struct {
	Listen string `name:"internal-listen" env:"SPILLWAY_INTERNAL_LISTEN" placeholder:"HOST:PORT" help:"Where the services of this process are served to other processes of the shop, which send a token with the role service. The public port does not serve what they call. Without it, they are not served to them."`
	Cert   string `name:"internal-cert-file" env:"SPILLWAY_INTERNAL_CERT_FILE" placeholder:"PATH" help:"The PEM file of the certificate of --internal-listen, which is read again when it changes. Without it, TLS is not spoken there."`
	Key    string `name:"internal-key-file" env:"SPILLWAY_INTERNAL_KEY_FILE" placeholder:"PATH" help:"The PEM file of its key."`
}

func (f internalFlags) config() app.InternalConfig {
	return app.InternalConfig{Listen: f.Listen, CertFile: f.Cert, KeyFile: f.Key}
}
