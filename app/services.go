package app

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/spillway/spillway/audit"
	"github.com/spillway/spillway/auth"
	"github.com/spillway/spillway/breaker"
	"github.com/spillway/spillway/cart"
	"github.com/spillway/spillway/catalog"
	"github.com/spillway/spillway/journal"
	"github.com/spillway/spillway/mail"
	"github.com/spillway/spillway/onlineboutique"
	"github.com/spillway/spillway/order"
	"github.com/spillway/spillway/payment"
	"github.com/spillway/spillway/quota"
	"github.com/spillway/spillway/server"
	"github.com/spillway/spillway/shipping"
	"github.com/spillway/spillway/stock"
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
	b := &builder{deps: deps, cfg: c, needs: deps.needs, api: &api{outages: &outages{path: c.External.Outages, log: deps.log}}}
	if deps.db != nil {
		b.rows, b.read = store.NewOrders(deps.db), store.NewOrders(deps.db.Reads())
		b.ledger = store.NewCharges(deps.db)
		deps.closers = append(deps.closers, func() error { b.ledger.Close(); return nil })
	}
	if deps.redis != nil {
		b.events = quota.New(c.Redis.Namespace, deps.redis.Client(), deps.policies[breaker.Redis])
	}
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

// buildRates makes the CurrencyService.
func (b *builder) buildRates() error {
	if !b.needs.local[serviceCurrency] {
		return nil
	}
	rates, err := b.cfg.External.Rates.load(b.deps.log)
	if err != nil {
		return err
	}
	b.rates = rates
	b.services.Currency = server.Currency{Rates: rates}
	return nil
}

// buildMail makes the EmailService.
func (b *builder) buildMail() (err error) {
	b.mail = mail.Client{Policy: b.deps.policies[breaker.Mail]}
	if !b.needs.local[serviceEmail] {
		return nil
	}
	if b.mails, err = newMail(b.deps, b.cfg.External.Mail, b.cfg.SQL.DataDir); err != nil {
		return err
	}
	b.mail.Service, b.mail.Local = b.mails, b.mails
	return nil
}

// buildPayment makes the PaymentService, and opens its provider, also for an audit in this process that compares the provider with the ledger.
func (b *builder) buildPayment() error {
	policies := b.deps.policies
	b.payments = payment.Client{Policy: policies[breaker.Payment], Ledger: policies[breaker.Ledger]}
	local := b.needs.local[servicePayment]
	if !local && (b.cfg.External.Provider.File == "" || !b.audits()) {
		return nil
	}
	provider, err := opened(b.deps, b.cfg.External.Provider.open)
	if err != nil {
		return err
	}
	b.audited = auditedProvider(b.cfg.External.Provider.File, provider)
	if !local {
		return nil
	}
	b.outages.provider = provider
	b.money = &payment.Service{Provider: server.OutsideLimits(provider), Ledger: b.ledger, Now: time.Now}
	b.payments.Service, b.payments.Local = b.money, b.money
	b.guardCharges()
	return nil
}

// audits reports whether the process audits the shop.
func (b *builder) audits() bool {
	return b.needs.local[serviceAudit] || b.cfg.works() && b.cfg.Audit.Interval > 0
}

// guardCharges makes the guard of the charges that the process requests.
func (b *builder) guardCharges() {
	b.payments.Charging = payment.NewCharging(b.deps.policies[breaker.Charges], b.payments.Service)
	b.deps.closers = append(b.deps.closers, b.payments.Charging.Close)
}

// buildShipping makes the ShippingService. A process without Redis shows shipments by the rows of their orders, which exist before a shipment does.
func (b *builder) buildShipping() error {
	if !b.needs.local[serviceShipping] {
		return nil
	}
	carrier, err := opened(b.deps, b.cfg.External.Carrier.open)
	if err != nil {
		return err
	}
	b.outages.carrier = carrier
	reader := server.OrderReader{Hot: noHotOrders{}, Rows: b.read, Log: b.deps.log}
	if b.deps.stock != nil {
		reader.Hot = b.deps.stock
	}
	b.parcels = &shipping.Service{Carrier: carrier, Rates: b.rates, Shipments: b.rows, Orders: reader}
	b.services.Shipping = b.parcels
	b.quotes = shipping.Local{Service: *b.parcels, Policy: b.deps.policies[breaker.Shipping]}
	b.carrier = workers.NewCarrierLimiter(workers.DefaultShippingConfig().Concurrency,
		shipping.Client{Service: b.parcels, Policy: b.deps.policies[breaker.Handover]})
	return nil
}

// noHotOrders is the cache of a process without Redis.
type noHotOrders struct{}

// HotOrder returns order.ErrNotFound.
func (noHotOrders) HotOrder(context.Context, order.ID) (stock.HotOrder, error) {
	return stock.HotOrder{}, order.ErrNotFound
}

// States returns none.
func (noHotOrders) States(context.Context, []order.ID) (map[order.ID]order.State, error) {
	return nil, nil //nolint:nilnil // There are none.
}

// buildShop makes the catalogue, the carts and the checkout.
func (b *builder) buildShop() {
	deps, local := b.deps, b.needs.local
	namespace, hot := b.cfg.Redis.Namespace, deps.policies[breaker.Redis]
	if local[serviceCatalog] {
		b.cache = catalog.NewCache(namespace, deps.redis.Client(), hot, store.NewProducts(deps.db), deps.log)
		browsing := b.cache.Browsing(store.NewProducts(deps.db.Reads()))
		b.prices, b.products = priceList{b.cache}, browsing
		b.shown = catalog.NewAvailable(deps.stock)
		b.services.Catalog = server.Catalog{
			Products: catalog.NewListing(store.NewProducts(deps.db.Reads())), Cache: browsing, Available: b.shown, Rates: b.rates,
			Adjuster: server.Adjustments{Counters: deps.stock, Store: store.NewStock(deps.db), Available: deps.stock, InSQL: sqlWaiter{deps}.inSQL},
		}
	}
	if local[serviceCart] {
		carts := cart.New(namespace, deps.redis.Client(), hot)
		b.contents = carts
		b.services.Cart = server.Cart{Carts: carts, Products: b.products, Available: b.shown, Rates: b.rates}
	}
	if local[serviceCheckout] {
		b.services.Checkout = &server.Checkout{
			Prices: b.prices, Carts: b.contents, Rates: b.rates, Payments: server.TracePayments(b.checkouts.Payments(b.payments)),
			Stock: b.reserver(), Shipping: b.quotes, Orders: b.rows,
			Durable: deps.durable(), Reader: b.changing(), Log: deps.log, Partition: partition,
			Paying: server.NewChargeSlots(b.cfg.Redis.maxCharges()), Declines: b.cfg.Orders.declines(b.events, deps.log),
			PayWithin: b.cfg.Orders.PayWithin, Now: time.Now,
		}
	}
}

// reserver is the stock, measured and traced.
func (b *builder) reserver() server.Reserver {
	return server.TraceReserver(b.checkouts.Reserver(b.deps.stock))
}

// changing reads orders over the connections of checkouts.
func (b *builder) changing() server.OrderReader {
	return server.OrderReader{Hot: b.deps.stock, Rows: b.rows, Log: b.deps.log}
}

// buildOrders makes the OrderService and those for operators.
func (b *builder) buildOrders() {
	deps, local := b.deps, b.needs.local
	if local[serviceOrder] {
		b.hub = server.NewHub(server.DefaultHubConfig(), journal.NewTail(deps.journal, deps.epochs), deps.stock, b.read, deps.log)
		b.services.Order = server.Orders{
			Reader: server.OrderReader{Hot: deps.stock, Rows: b.read, Log: deps.log}, Changing: b.changing(), Hub: b.hub,
			Canceller: &server.Canceller{
				Stock: b.reserver(), Store: store.NewCancellations(deps.db), Payments: b.payments, Changes: deps.changes,
				Durable: deps.durable(), Log: deps.log, Now: time.Now,
			},
			Ledger: store.NewLedgerReader(deps.db.Reads()), Facts: b.read, Refunder: &server.Refunder{
				Ledger: b.ledger, Payments: payment.Client{Service: b.payments.Service, Policy: deps.policies[breaker.Refund]}, Log: deps.log, Now: time.Now,
			},
		}
	}
	if local[serviceDeadLetters] {
		b.services.DeadLetters = deadLetters(deps, b.api)
	}
	if local[serviceAudit] {
		b.services.Audit = server.NewAudit(newAudit(deps, b.audited)).WithBooks(store.NewAudits(deps.db))
	}
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

// opened opens an external service, which is closed with the dependencies.
func opened[T interface{ Close() error }](deps *dependencies, open func() (T, error)) (T, error) {
	service, err := open()
	if err == nil {
		deps.closers = append(deps.closers, service.Close)
	}
	return service, err
}

// deadLetters is the operators' service; the replayer does what the workers do, in the process that is asked.
func deadLetters(deps *dependencies, a *api) server.DeadLetters {
	letters := store.NewDeadLetters(deps.db)
	return server.DeadLetters{Store: letters, Replayer: workers.NewReplayer(workers.ReplayParts{
		DeadLetters: letters, Entries: store.NewStock(deps.db), Orders: store.NewOrders(deps.db), Hot: deps.stock, Counters: deps.stock,
		Snapshots: deps.snapshots(),
		Cancel:    workers.NewDuplicateCanceller(deps.stock, a.payments), Mail: a.mail, Log: deps.log,
	})}
}

// newAudit audits the database, and once drained the Redis of this process; and the provider, if it can be.
func newAudit(deps *dependencies, provider audit.Provider) func(context.Context, audit.Options) (audit.Report, error) {
	audits, counters := store.NewAudits(deps.db), redisCounters{deps.redis, deps.keys}
	return func(ctx context.Context, o audit.Options) (audit.Report, error) {
		o.Counters, o.Provider = counters, provider
		return audit.Run(ctx, audits, o)
	}
}

// newMail makes the EmailService. Without an SMTP server its mails go to an mbox file.
func newMail(deps *dependencies, cfg MailConfig, dataDir string) (*mail.Service, error) {
	messages, err := mail.NewMessages(cfg.From)
	if err != nil {
		return nil, err
	}
	metrics, err := mail.NewMetrics()
	if err != nil {
		return nil, err
	}
	sent := store.NewMails(deps.db)
	if cfg.SMTPHost == "" {
		mbox := mail.NewMbox(filepath.Join(dataDir, "mail"), deps.log)
		deps.closers = append(deps.closers, mbox.Close)
		return mail.NewService(sent, mbox, messages).WithMetrics(metrics), nil
	}
	smtp, err := mail.NewSMTP(cfg.smtp())
	if err != nil {
		return nil, err
	}
	deps.closers = append(deps.closers, func() error { smtp.Close(); return nil })
	return mail.NewService(sent, smtp, messages).WithMetrics(metrics), nil
}

// priceList reads names and prices from the cache.
type priceList struct{ cache *catalog.Cache }

// remotePrices reads names and prices from a catalogue in another process.
type remotePrices struct{ products *catalog.Client }

// Prices returns the prices of all SKUs; one that is unknown is an error.
func (l remotePrices) Prices(ctx context.Context, skus []order.SKU) (map[order.SKU]server.ProductPrice, error) {
	found, err := l.products.GetAll(ctx, skus)
	if err != nil {
		return nil, err
	}
	out := make(map[order.SKU]server.ProductPrice, len(skus))
	for _, sku := range skus {
		p, ok := found[sku]
		if !ok {
			return nil, order.ProductNotFound(sku)
		}
		out[sku] = productPrice(p)
	}
	return out, nil
}

func productPrice(p store.Product) server.ProductPrice {
	return server.ProductPrice{Name: p.Name, Price: p.Price, Archived: p.Archived, MaxPerCustomer: p.MaxPerCustomer, SaleStartsAt: p.SaleStartsAt}
}

// Prices returns the prices of all SKUs; one that is unknown is an error.
func (l priceList) Prices(ctx context.Context, skus []order.SKU) (map[order.SKU]server.ProductPrice, error) {
	out := make(map[order.SKU]server.ProductPrice, len(skus))
	for _, sku := range skus {
		p, err := l.cache.Get(ctx, sku)
		if err != nil {
			return nil, err
		}
		out[sku] = productPrice(p)
	}
	return out, nil
}

// durable waits for what the setting promises. With durability journal that is nothing: the journal is as durable as Redis once the script has
// returned.
func (deps *dependencies) durable() server.DurabilityWaiter {
	switch deps.flush.Durability {
	case store.DurabilitySQL:
		return deps.progress
	case store.DurabilityReplica:
		return journal.NewReplicated(deps.keys, deps.redis, deps.epochs)
	default:
		return noWait{}
	}
}

type noWait struct{}

// Wait returns nil.
func (noWait) Wait(context.Context, journal.Offset, order.ID) error { return nil }

// sqlWaiter waits for SQL, whichever process flushes.
type sqlWaiter struct{ deps *dependencies }

// sqlPollInterval is the time between two reads of SQL's offset. The flusher in this process signals sooner; reading is for one that runs
// elsewhere.
const sqlPollInterval = 50 * time.Millisecond

// inSQL returns when SQL includes the place.
func (d sqlWaiter) inSQL(ctx context.Context, place journal.Offset) error {
	st := store.NewStock(d.deps.db)
	if place == (journal.Offset{}) { // It was made in SQL.
		return nil
	}
	for {
		e, err := st.EpochAt(ctx, partition, place.Epoch)
		switch {
		case err != nil:
			return err
		case journal.CompareIDs(e.LastID, place.ID) >= 0:
			return nil
		case e.Closed:
			return errors.Join(journal.ErrEpochPassed, order.ErrUnavailable)
		}
		wait, cancel := context.WithTimeout(ctx, sqlPollInterval)
		err = d.deps.progress.Wait(wait, place, "")
		cancel()
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}
