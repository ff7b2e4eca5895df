package app

import (
	"context"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/catalog"
	"github.com/spillway/spillway/mail"
	"github.com/spillway/spillway/onlineboutique"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/quota"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/shipping"
	"github.com/spillway/spillway/store"
	"github.com/spillway/spillway/workers"
)

// api is the services of one process. Within it they call each other directly, by the interfaces that a client would use. What the process
// does not need is nil.
type api struct {
	services server.Services
	internal server.InternalServices
	// checkouts counts what the CheckoutService does.
	checkouts *server.CheckoutMetrics
	admission *server.Admission
	payments  payment.Client
	ledger    *store.Charges
	hub       *server.Hub
	ops       *server.Ops
	// callLimits bound the calls of each customer and address.
	callLimits *server.CallRates
	// events counts what is limited in all processes together; nil without Redis.
	events *quota.Counters
	rates  rateSource
	// carrier takes parcels, within one limit for all workers of the process together.
	carrier *workers.CarrierLimiter
	mail    mail.Client
	// audited is the provider as the audit reads it; nil when it cannot be compared with the ledger.
	audited audit.Provider
	// boutique is the services of Online Boutique's interface.
	boutique onlineboutique.Shop
	// outages are those of the simulated provider and carrier.
	outages *outages
}

// rateSource converts money, and follows the rates while Run runs.
type rateSource interface {
	server.Rates
	Run(ctx context.Context)
}

// builder makes the services that a process needs. Its methods are called in the order in which services call each other, the callees first.
type builder struct {
	*api

	deps  *dependencies
	cfg   Config
	needs needs
	// tokens are those of the API's callers; nil without an API.
	tokens *auth.Tokens
	// parcels, money and mails are the services of the external parties in this process; nil if they are not.
	parcels *shipping.Service
	money   *payment.Service
	mails   *mail.Service
	// rows and read are the orders over the connections of checkouts, and of readers.
	rows, read *store.Orders
	// cache is the catalogue, and shown the units that readers see.
	cache *catalog.Cache
	shown *catalog.Available
	// What others call of the shipping service, the catalogue and the carts, in this process or at a URL.
	quotes   server.ShippingClient
	prices   server.PriceSource
	products server.ProductCache
	contents server.CartContents
}

func newAPI(ctx context.Context, deps *dependencies, c Config, tokens *auth.Tokens) (*api, error) {
	b := &builder{deps: deps, cfg: c, needs: deps.needs, tokens: tokens, api: &api{outages: &outages{path: c.External.Outages, log: deps.log}}}
	if deps.db != nil {
		b.rows, b.read = store.NewOrders(deps.db), store.NewOrders(deps.db.Reads())
		b.ledger = store.NewCharges(deps.db)
		deps.closers = append(deps.closers, func() error { b.ledger.Close(); return nil })
	}
	if deps.redis != nil {
		b.events = quota.New(c.Redis.Namespace, deps.redis.Client(), deps.policies[breaker.Redis])
	}
	b.callLimits = b.callRates()
	b.admission = server.NewAdmission(c.HTTP.admission(c.embedded(), deps.flush.WithOrders, deps.load))
	var err error
	if b.checkouts, err = server.NewCheckoutMetrics(); err != nil {
		return nil, err
	}
	for _, build := range []func() error{
		b.buildRates, b.buildMail, b.buildPayment, func() error { return b.connectRemotes(ctx, tokens) }, b.buildShipping,
	} {
		if err := build(); err != nil {
			return nil, err
		}
	}
	b.services.Session = server.Session{Tokens: tokens}
	b.buildShop()
	b.buildOrders()
	if c.Boutique.Enabled {
		b.boutique = b.newBoutique()
	}
	b.services = served(b.services, c)
	b.internal = b.servedInternally()
	return b.api, nil
}

// served leaves out the services that the process only calls.
func served(s server.Services, c Config) (out server.Services) {
	for name, add := range map[string]func(){
		serviceSession:     func() { out.Session = s.Session },
		serviceCatalog:     func() { out.Catalog = s.Catalog },
		serviceCart:        func() { out.Cart = s.Cart },
		serviceCurrency:    func() { out.Currency = s.Currency },
		serviceCheckout:    func() { out.Checkout = s.Checkout },
		serviceOrder:       func() { out.Order = s.Order },
		serviceShipping:    func() { out.Shipping = s.Shipping },
		serviceDeadLetters: func() { out.DeadLetters = s.DeadLetters },
		serviceAudit:       func() { out.Audit = s.Audit },
	} {
		if c.serving(name) {
			add()
		}
	}
	return out
}

// servedInternally are the services that other processes call here.
func (b *builder) servedInternally() (out server.InternalServices) {
	c := b.cfg
	if c.serving(servicePayment) {
		out.Payment = b.money
	}
	if c.serving(serviceEmail) {
		out.Email = b.mails
	}
	out.Shipping, out.Cart, out.Catalog, out.Currency = b.services.Shipping, b.services.Cart, b.services.Catalog, b.services.Currency
	return out
}
